"""A picture as a request to the flux server."""

from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.pictures import NotDrawableError, PictureRequest

_TASK_TYPES = {False: (TEXT_TO_IMAGE,), True: (IMAGE_TO_IMAGE, EDIT)}
"""What may draw a picture, by whether it starts from another; a model that does not vary pictures edits them."""


def content_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """The task type and the content that draw a picture.

    Raises:
        NotDrawableError: The runtime's model does something else.
    """
    wanted = (INPAINTING, EDIT) if picture.mask is not None else _TASK_TYPES[picture.image is not None]
    if picture.references:
        wanted = (EDIT,)
    task_type = next((one for one in wanted if one in runtime.task_types), None)
    if task_type is None:
        can = ", ".join(runtime.task_types)
        raise NotDrawableError(f"The model of runtime {runtime.name} does {can}, not {' or '.join(wanted)}.")
    content = {
        "negative_prompt": picture.negative_prompt,
        "num_images": picture.n,
        "seed": picture.seed,
        "num_inference_steps": picture.steps,
        "guidance_scale": picture.guidance,
        "image": None if picture.references else picture.image,
        "images": [picture.image, *picture.references] if picture.references else None,
        "mask": picture.mask,
        "output_format": picture.format,
    }
    if task_type == EDIT:
        content |= {"instructions": picture.prompt, "size": _size(picture)}
    else:
        content |= {"prompt": picture.prompt, "width": picture.width, "height": picture.height}
    if task_type in {IMAGE_TO_IMAGE, INPAINTING}:
        content["strength"] = picture.strength
    return task_type, {name: value for name, value in content.items() if value is not None}


def _size(picture: PictureRequest) -> str | int | None:
    if picture.width is not None and picture.height is not None:
        return f"{picture.width}x{picture.height}"
    return picture.width or picture.height
