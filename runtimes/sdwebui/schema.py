"""The JSON schema of requests to SD WebUI 1.10.1, with the servers' models and samplers if they are known."""

from collections.abc import Mapping
from typing import Any

from contract.task import CHECKPOINT_ATTRIBUTE
from runtimes.catalog import DeployedRuntime
from runtimes.live import LiveCatalog, Names
from runtimes.sdwebui.checks import IMAGE_FIELDS, NumberRange, ranges_of
from runtimes.sdwebui.fields import FIELDS

_TYPES: Mapping[str, str] = {
    "array": "styles script_args init_images imageList",
    "object": "override_settings comments alwayson_scripts",
    "integer": """
        seed subseed seed_resize_from_h seed_resize_from_w batch_size n_iter steps width height firstphase_width
        firstphase_height hr_second_pass_steps hr_resize_x hr_resize_y resize_mode mask_blur_x mask_blur_y mask_blur
        inpainting_fill inpaint_full_res_padding inpainting_mask_invert upscaling_resize_w upscaling_resize_h
    """,
    "number": """
        subseed_strength cfg_scale eta denoising_strength s_min_uncond s_churn s_tmax s_tmin s_noise refiner_switch_at
        hr_scale image_cfg_scale initial_noise_multiplier gfpgan_visibility codeformer_visibility codeformer_weight
        upscaling_resize extras_upscaler_2_visibility
    """,
    "boolean": """
        restore_faces tiling do_not_save_samples do_not_save_grid override_settings_restore_afterwards
        disable_extra_networks enable_hr send_images save_images mask_round inpaint_full_res include_init_images
        show_extras_results upscaling_crop upscale_first
    """,
}
"""Types of the fields; all others are strings."""
_TYPE_OF = {name: kind for kind, names in _TYPES.items() for name in names.split()}
_DESCRIPTIONS = {
    "prompt": "What the picture shows. <lora:NAME:WEIGHT> adds a LoRA.",
    "negative_prompt": "What it should not show.",
    "seed": "Seed of the first picture; each further picture adds 1. -1 picks a random seed.",
    "steps": "Sampling steps.",
    "batch_size": "Number of pictures drawn together.",
    "n_iter": "Number of batches, drawn one after the other.",
    "init_images": "Links (http, https or s3) or base64.",
    "mask": "Mask, as a link or base64: white is redrawn, black is kept.",
    "image": "A link (http, https or s3) or base64.",
    "imageList": 'Objects {"data": LINK OR BASE64, "name": NAME}.',
    "alwayson_scripts": "Arguments of extensions, by extension name.",
    "override_settings": "Server settings for this task only.",
    CHECKPOINT_ATTRIBUTE: "The checkpoint. Default: the one that is loaded.",
}
_UNLIMITED = NumberRange()
_PICTURE = "https://example.com/harbour.png"
_EXAMPLES: Mapping[str, dict[str, Any]] = {
    "image-to-image": {
        "prompt": "A harbour at night",
        "init_images": [_PICTURE],
        "denoising_strength": 0.6,
        "steps": 20,
    },
    "extra-single-image": {"image": _PICTURE, "upscaler_1": "Lanczos", "upscaling_resize": 2},
    "extra-batch-images": {
        "imageList": [{"data": _PICTURE, "name": "harbour.png"}],
        "upscaler_1": "Lanczos",
        "upscaling_resize": 2,
    },
}


def content_schema(tasktype: str, runtime: DeployedRuntime) -> dict[str, Any]:
    """The schema of a task type's content; see ``api.content``."""
    ranges = ranges_of(tasktype)
    properties: dict[str, dict[str, Any]] = {}
    for name in (*sorted(FIELDS[tasktype]), CHECKPOINT_ATTRIBUTE):
        described = {"description": _DESCRIPTIONS[name]} if name in _DESCRIPTIONS else {}
        properties[name] = {"type": _TYPE_OF.get(name, "string"), **described}
        limits = ranges.get(name, _UNLIMITED)
        if limits.min != _UNLIMITED.min:
            properties[name]["exclusiveMinimum" if limits.is_above_min else "minimum"] = limits.min
        if limits.max != _UNLIMITED.max:
            properties[name]["maximum"] = limits.max
    choices = _choices(runtime, runtime.live())
    for name, names in choices.items():
        if names and name in properties:
            properties[name]["enum"] = names
    required = [name for name in (IMAGE_FIELDS.get(tasktype),) if name]
    return {
        "description": "SD WebUI ignores fields that are not listed here.",
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        **({"examples": [_EXAMPLES[tasktype]]} if tasktype in _EXAMPLES else {}),
    }


def _choices(runtime: DeployedRuntime, live: LiveCatalog | None) -> dict[str, list[str]]:
    """The choices of fields, if they are known; else empty."""
    live = live or LiveCatalog()
    served = [] if runtime.model_filename is None else [runtime.model_filename]
    checkpoints = _names(live.models) if runtime.dynamic_model else served
    samplers, schedulers, upscalers = _names(live.samplers), _names(live.schedulers), _names(live.upscalers)
    return {
        CHECKPOINT_ATTRIBUTE: checkpoints,
        "sampler_name": samplers,
        "hr_sampler_name": samplers and ["Use same sampler", *samplers],
        "scheduler": schedulers,
        "hr_scheduler": schedulers and ["Use same scheduler", *schedulers],
        **dict.fromkeys(("upscaler_1", "upscaler_2", "hr_upscaler"), upscalers),
    }


def _names(names: Names) -> list[str]:
    return [one.name for one in names]
