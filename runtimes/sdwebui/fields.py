"""The fields of SD WebUI 1.10.1's API. It ignores all others without a word."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path, suggestion
from contract.task import CHECKPOINT_ATTRIBUTE
from runtimes.catalog import DeployedRuntime

_GENERATING = """
    prompt negative_prompt styles seed subseed subseed_strength seed_resize_from_h seed_resize_from_w sampler_name
    scheduler batch_size n_iter steps cfg_scale width height restore_faces tiling do_not_save_samples do_not_save_grid
    eta denoising_strength s_min_uncond s_churn s_tmax s_tmin s_noise override_settings
    override_settings_restore_afterwards refiner_checkpoint refiner_switch_at disable_extra_networks firstpass_image
    comments script_name script_args send_images save_images alwayson_scripts infotext force_task_id sampler_index
"""
_TEXT_TO_IMAGE = """
    enable_hr firstphase_width firstphase_height hr_scale hr_upscaler hr_second_pass_steps hr_resize_x hr_resize_y
    hr_checkpoint_name hr_sampler_name hr_scheduler hr_prompt hr_negative_prompt
"""
_IMAGE_TO_IMAGE = """
    init_images resize_mode image_cfg_scale mask mask_blur_x mask_blur_y mask_blur mask_round inpainting_fill
    inpaint_full_res inpaint_full_res_padding inpainting_mask_invert initial_noise_multiplier latent_mask
    include_init_images
"""
_UPSCALING = """
    resize_mode show_extras_results gfpgan_visibility codeformer_visibility codeformer_weight upscaling_resize
    upscaling_resize_w upscaling_resize_h upscaling_crop upscaler_1 upscaler_2 extras_upscaler_2_visibility
    upscale_first alwayson_scripts override_settings
"""


def _names(*texts: str) -> frozenset[str]:
    return frozenset(name for text in texts for name in text.split())


FIELDS: Mapping[str, frozenset[str]] = {
    "text-to-image": _names(_GENERATING, _TEXT_TO_IMAGE),
    "image-to-image": _names(_GENERATING, _IMAGE_TO_IMAGE),
    "extra-single-image": _names(_UPSCALING, "image"),
    "extra-batch-images": _names(_UPSCALING, "imageList"),
}
"""By task type; ``alwayson_scripts`` and ``override_settings`` of upscaling are what the platform reads itself."""


def ignored_fields(
    content: Mapping[str, Any],
    tasktype: str,
    runtime: DeployedRuntime,  # noqa: ARG001 (the same for all)
    at: FieldPath,
) -> Iterator[FieldError]:
    """Name the fields that SD WebUI would ignore; see ``api.content``."""
    known = (*sorted(FIELDS[tasktype]), CHECKPOINT_ATTRIBUTE)
    for key in content:
        if key not in known:
            problem = f"is no field of SD WebUI 1.10.1, which ignores it{suggestion(key, known)}"
            yield FieldError(field_path((*at, key)), problem)
