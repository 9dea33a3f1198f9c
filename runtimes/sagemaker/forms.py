"""The forms of body that endpoints take: JumpStart's Stable Diffusion, the project's flux server, and any other.

JumpStart's fields are those of AWS's notebooks "Introduction to JumpStart - Text to Image" and "- Image Editing".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE

TASK_TYPES = (TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING, EDIT)
FormName = Literal["jumpstart", "flux", "other"]

_MAX_CHARACTERS = 20_000
_Text = Annotated[str, Field(max_length=_MAX_CHARACTERS)]
_Texts = _Text | Annotated[list[_Text], Field(min_length=1, max_length=16)]
_Side = Annotated[int, Field(ge=8, le=4096, multiple_of=8)]


class JumpStartRequest(BaseModel):
    """A request to Stable Diffusion as JumpStart deploys it; what a model has beyond these fields is passed on."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, use_attribute_docstrings=True)

    prompt: _Texts
    """What the picture shows; a list draws a picture for each."""
    negative_prompt: _Texts | None = None
    """What the picture should not show; a list where prompt is one."""
    width: _Side | None = None
    """Pixels, a multiple of 8."""
    height: _Side | None = None
    """Pixels, a multiple of 8."""
    num_images_per_prompt: Annotated[int, Field(ge=1, le=16)] | None = None
    """How many pictures."""
    num_inference_steps: Annotated[int, Field(ge=1, le=500)] | None = None
    """Denoising steps."""
    guidance_scale: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, strict=False)] | None = None
    """How closely the picture follows the prompt."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    """The same seed and request draw the same picture."""
    eta: Annotated[float, Field(ge=0, le=1, strict=False)] | None = None
    """Noise added in each step."""
    strength: Annotated[float, Field(ge=0, le=1, strict=False)] | None = None
    """How much of the image is redrawn."""
    image: str | None = None
    """The image to start from, as a link or in base64."""
    mask_image: str | None = None
    """Where it is redrawn: white is redrawn, black is kept. A link or base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyForm:
    """A form of body.

    Attributes:
        task_types: What endpoints of it may do.
        accept: What is asked of the endpoint, unless the configuration says otherwise.
        content_type: Of the body.
        image_content_type: Of a body that holds images.
        images: Fields with images, as links or in base64.
        sent_as: Fields that hold only links, and the field in which the endpoint wants the image itself.
    """

    task_types: tuple[str, ...]
    accept: str
    content_type: str = "application/json"
    image_content_type: str = "application/json"
    images: frozenset[str]
    sent_as: Mapping[str, str]


FORMS: Mapping[FormName, BodyForm] = {
    "jumpstart": BodyForm(
        task_types=(TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING),
        accept="application/json;jpeg",  # without ;jpeg the answer is numbers: 4 MB for 512 x 512
        image_content_type="application/json;jpeg",
        images=frozenset({"image", "mask_image"}),
        sent_as={},
    ),
    "flux": BodyForm(
        task_types=TASK_TYPES,
        accept="application/json",
        images=frozenset({"image", "images", "mask"}),
        sent_as={"image_url": "image", "mask_url": "mask"},
    ),
    "other": BodyForm(
        task_types=TASK_TYPES,
        accept="application/json",
        images=frozenset({"image", "images", "init_image", "mask", "mask_image"}),
        sent_as={},
    ),
}
"""All forms, by their names in config.yaml."""
