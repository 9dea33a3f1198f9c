"""A picture as a request to SD WebUI."""

from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.pictures import NotDrawableError, PictureRequest


def content_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """The task type and the content that draw a picture.

    Raises:
        NotDrawableError: SD WebUI is set to make PNG files, and a request cannot change that.
    """
    if picture.format not in {None, "png"}:
        raise NotDrawableError(f"Runtime {runtime.name} makes PNG files, not {picture.format}.")
    content: dict[str, Any] = {
        "prompt": picture.prompt,
        "negative_prompt": picture.negative_prompt,
        "width": picture.width,
        "height": picture.height,
        "n_iter": picture.n,
        "seed": picture.seed,
        "steps": picture.steps,
        "cfg_scale": picture.guidance,
    }
    if picture.image is not None:
        content |= {"init_images": [picture.image], "mask": picture.mask, "denoising_strength": picture.strength}
    task_type = "text-to-image" if picture.image is None else "image-to-image"
    return task_type, {name: value for name, value in content.items() if value is not None}
