"""An infotext in a request: SD WebUI reads prompt, fields and settings from it, as it writes them into its pictures."""

from typing import Any

from runtimes.sdwebui.checkpoints import infotext_pairs

_CHECKPOINT = "Model hash:"
_NOT_READ = "Model hash of the picture:"

# fmt: off
_SETTINGS = frozenset({
    "CLIP_stop_at_last_layers", "always_discard_next_to_last_sigma", "beta_dist_alpha", "beta_dist_beta",
    "cache_fp16_weight", "emphasis", "eta_ancestral", "eta_ddim", "eta_noise_seed_delta", "face_restoration",
    "face_restoration_model", "fp8_storage", "hires_fix_refiner_pass", "img2img_extra_noise",
    "initial_noise_multiplier", "inpainting_mask_weight", "pad_cond_uncond", "pad_cond_uncond_v0", "randn_source",
    "refiner_switch_by_sample_steps", "rho", "s_churn", "s_min_uncond", "s_min_uncond_all", "s_noise", "s_tmax",
    "s_tmin", "sd_noise_schedule", "sd_vae", "sd_vae_decode_method", "sd_vae_encode_method", "sgm_noise_multiplier",
    "sigma_max", "sigma_min", "skip_early_cond", "tiling", "token_merging_ratio", "token_merging_ratio_hr",
    "uni_pc_lower_order_final", "uni_pc_order", "uni_pc_skip_type", "uni_pc_variant", "use_downcasted_alpha_bar",
    "use_old_scheduling",
})
# fmt: on
"""What an infotext may set in SD WebUI 1.10.1, be it by leaving it out."""


def overridden_by(infotext: Any) -> frozenset[str]:
    """Names of the settings that an infotext may override."""
    return _SETTINGS if isinstance(infotext, str) and infotext.strip() else frozenset()


def without_checkpoint(infotext: str) -> str:
    """The same infotext under which the server keeps its checkpoint; the agent sees to the one that is named there."""
    if not infotext_pairs(infotext):
        return infotext
    head, newline, last = infotext.strip().rpartition("\n")
    return f"{head}{newline}{last.replace(_CHECKPOINT, _NOT_READ)}"
