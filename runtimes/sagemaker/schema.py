"""The JSON schema of a task's content, by the form of its endpoint."""

from collections.abc import Mapping
from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.schema import request_schema, simplified
from runtimes.sagemaker.forms import JumpStartRequest
from runtimes.sagemaker.options import form_of

_PICTURE, _MASK = "https://example.com/harbour.png", "https://example.com/mask.png"
_EXAMPLES: Mapping[str, dict[str, Any]] = {
    TEXT_TO_IMAGE: {"prompt": "A lighthouse at dusk, watercolour", "width": 512, "height": 512, "seed": 7},
    IMAGE_TO_IMAGE: {"prompt": "A harbour at night", "image": _PICTURE, "strength": 0.6, "seed": 7},
    INPAINTING: {"prompt": "A lighthouse", "image": _PICTURE, "mask_image": _MASK},
    EDIT: {"instructions": "Make it night", "image": _PICTURE},
}


def content_schema(tasktype: str, runtime: DeployedRuntime) -> dict[str, Any]:
    """The schema of a task type's content; see ``api.content``."""
    form = form_of(runtime.options)
    if form == "flux":
        model = runtime.options.flux
        return request_schema(tasktype, model and model.card)
    schema: dict[str, Any] = {"type": "object"}
    if form == "jumpstart":
        schema = simplified(JumpStartRequest.model_json_schema())
    return {**schema, "examples": [_EXAMPLES[tasktype]]}
