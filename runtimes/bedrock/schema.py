"""The JSON schema of bodies, with the limits and defaults of the model."""

from collections.abc import Mapping
from typing import Any

from runtimes.bedrock.checks import family_of
from runtimes.bedrock.families import (
    CONTROL_SKETCH,
    CONTROL_STRUCTURE,
    ERASE,
    IMAGE_TO_IMAGE,
    INPAINTING,
    OUTPAINTING,
    REMOVE_BACKGROUND,
    SEARCH_AND_RECOLOR,
    SEARCH_AND_REPLACE,
    STYLE_GUIDE,
    STYLE_TRANSFER,
    UPSCALE,
    BodyField,
)
from runtimes.bedrock.sdxl import is_sdxl
from runtimes.catalog import DeployedRuntime

_PICTURE, _OTHER = "https://example.com/harbour.png", "https://example.com/mask.png"
_EXAMPLES: Mapping[str, dict[str, Any]] = {
    IMAGE_TO_IMAGE: {"prompt": "A harbour at night", "image": _PICTURE, "strength": 0.6, "seed": 7},
    INPAINTING: {"prompt": "A lighthouse", "image": _PICTURE, "mask": _OTHER},
    OUTPAINTING: {"image": _PICTURE, "left": 200, "right": 200},
    SEARCH_AND_REPLACE: {"prompt": "A sailing boat", "search_prompt": "the ferry", "image": _PICTURE},
    SEARCH_AND_RECOLOR: {"prompt": "dark red", "select_prompt": "the ferry", "image": _PICTURE},
    ERASE: {"image": _PICTURE, "mask": _OTHER},
    REMOVE_BACKGROUND: {"image": _PICTURE},
    UPSCALE: {"image": _PICTURE},
    CONTROL_SKETCH: {"prompt": "A harbour at night", "image": _PICTURE, "control_strength": 0.7},
    CONTROL_STRUCTURE: {"prompt": "A harbour in the snow", "image": _PICTURE},
    STYLE_GUIDE: {"prompt": "A lighthouse", "image": _PICTURE, "fidelity": 0.5},
    STYLE_TRANSFER: {"init_image": _PICTURE, "style_image": "https://example.com/style.png"},
}


def content_schema(tasktype: str, runtime: DeployedRuntime) -> dict[str, Any]:
    """The schema of a task type's content; see ``api.content``. A body of SDXL is left to the checks."""
    family = family_of(runtime, tasktype)
    fields = family.bodies[tasktype]
    own: dict[str, Any] = {"propertyNames": {"enum": list(fields)}}
    if required := [name for name, field in fields.items() if field.required]:
        own["required"] = required
    if is_sdxl({"text_prompts": []}, tasktype):
        own = {"if": {"required": ["text_prompts"]}, "else": own}
    schema = {
        "description": f"The body of {family.title}.",
        "type": "object",
        "properties": {name: _property(field) for name, field in fields.items()},
        **own,
    }
    if tasktype in _EXAMPLES:
        prompt = fields["prompt"].required if "prompt" in fields else False
        example = _EXAMPLES[tasktype]
        schema["examples"] = [{"prompt": "A harbour at night", **example} if prompt else example]
    return schema


def _property(field: BodyField) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "string" if field.type == "picture" else field.type,
        "description": field.words,
    }
    low, high = ("minLength", "maxLength") if field.type == "string" else ("minimum", "maximum")
    limits = {low: field.min or None if field.type == "string" else field.min, high: field.max}
    more = {**limits, "enum": list(field.choices) or None, "default": field.default}
    return described | {key: value for key, value in more.items() if value is not None}
