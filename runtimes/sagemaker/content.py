"""A picture request as a task of an endpoint's form."""

from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.flux.families import IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.pictures import NotDrawableError, PictureRequest
from runtimes.sagemaker.options import form_of


def content_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """The task type and content that draw a picture.

    Raises:
        NotDrawableError: Endpoints of this form or model cannot draw it.
    """
    task_type = TEXT_TO_IMAGE if picture.image is None else INPAINTING if picture.mask else IMAGE_TO_IMAGE
    if task_type not in runtime.task_types:
        raise NotDrawableError(f"Runtime {runtime.name} does not do {task_type}.")
    if picture.mask and picture.image is None:
        raise NotDrawableError("A mask needs an image.")
    is_flux = form_of(runtime.options) == "flux"
    content = {
        "prompt": picture.prompt,
        "negative_prompt": picture.negative_prompt,
        "width": picture.width,
        "height": picture.height,
        "num_images" if is_flux else "num_images_per_prompt": picture.n if picture.n > 1 else None,
        "num_inference_steps": picture.steps,
        "guidance_scale": picture.guidance,
        "seed": picture.seed,
        "image": picture.image,
        "mask" if is_flux else "mask_image": picture.mask,
        "strength": picture.strength if picture.image is not None else None,
        "output_format": picture.format if is_flux else None,
    }
    return task_type, {name: value for name, value in content.items() if value is not None}
