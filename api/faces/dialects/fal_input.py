"""What fal's apps are called here, and what their input means."""

from collections.abc import Mapping
from typing import Any

from api.errors import InvalidRequestError
from api.faces.dialects.dialect import DialectCall, sides_of
from api.operations.models import Model
from contract.field_errors import FieldError
from jobs.job import Job

PARAMETERS: Mapping[str, str] = {
    "n": "num_images",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "image": "image_url",
    "mask": "mask_url",
    "format": "output_format",
    "width": "image_size.width",
    "height": "image_size.height",
}
"""What inputs of its apps are called; the parameters of a picture that are not here have the same names."""
_SAME = ("prompt", "negative_prompt", "seed", "strength")
_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_NAMESPACES = {"workflows", "comfy"}
"""Apps below these have three parts."""


def model_of(call: DialectCall, app: str) -> Model:
    """The model of an app; what follows its name, such as ``image-to-image``, is a path of the app's own.

    Raises:
        UnknownModelError: There is none, neither of that name nor of a beginning of it.
    """
    parts = app.split("/")
    for end in range(len(parts), 0, -1):
        if (found := call.services.models.known(call.dialect, "/".join(parts[:end]), call.tenant)) is not None:
            return found
    return call.model(app)


def app_of(job: Job) -> str:
    """The part of an app's name below which its requests are."""
    app = job.context.get("model") if isinstance(job.context, Mapping) else None
    parts = (app if isinstance(app, str) else job.runtime).split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def picture(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a picture, by the names of ``PictureRequest``.

    Raises:
        InvalidRequestError: The size is none.
    """
    values = {name: body.get(name) for name in _SAME}
    values |= {name: body.get(its) for name, its in PARAMETERS.items()}
    if values["image"] is None and isinstance(several := body.get("image_urls"), list) and several:
        values["image"] = several[0]
    size = body.get("image_size")
    if isinstance(size, Mapping):
        sides = size.get("width"), size.get("height")
    elif size is None:
        sides = sides_of(body.get("aspect_ratio")) or (None, None)
    elif size in _SIZES:
        sides = _SIZES[size]
    else:
        detail = f"must be one of {', '.join(_SIZES)}, or an object with width and height"
        raise InvalidRequestError([FieldError("image_size", detail)])
    return {**values, "width": sides[0], "height": sides[1]}
