"""Requests to a model server of type flux: the content of tasks, and the bodies of the server's own API.

Images stand in ``image``, ``images`` and ``mask`` as base64 or as links, or in ``image_url`` and ``mask_url`` as links.
Links are the agent's to fetch; the server takes none.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from contract.field_errors import MAX_FIELD_ERRORS, shown
from contract.inputs import is_link
from contract.models import Form
from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.options import MAX_LORA_WEIGHT, MAX_LORAS

MAX_CHARACTERS = 20_000
MAX_PICTURES = 16
MAX_SEED = 2**63 - 1
MAX_SIDE = 8192
_MIN_SIDE = 64
_MAX_ITEMS = {"images": 8}
_SIZE = re.compile(r"(\d{2,4})(?:x(\d{2,4}))?")


def _check_link(value: str) -> str:
    if not is_link(value):
        raise ValueError(f"must be a link (http, https or s3), not {shown(value)}")
    return value


Link = Annotated[str, Field(max_length=4096), AfterValidator(_check_link)]
Image = Annotated[str, Field(min_length=1)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
Side = Annotated[int, Field(ge=_MIN_SIDE, le=MAX_SIDE)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Body(BaseModel):
    """An object of a request. What is null is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        """Drop nulls, and keep as many unknown keys as an answer may name."""
        if not isinstance(data, dict):
            return data
        known = {key: value for key, value in data.items() if key in cls.model_fields and value is not None}
        unknown = (key for key in data if key not in cls.model_fields)
        return known | {key: data[key] for key in islice(unknown, MAX_FIELD_ERRORS)}

    @field_validator("*", mode="before")
    @classmethod
    def _is_sound(cls, value: Any, info: ValidationInfo) -> Any:
        """Check the length first: an error for each of a million items is more than memory holds.

        True and false are numbers to Python alone.
        """
        most = _MAX_ITEMS.get(info.field_name or "", MAX_LORAS)
        if isinstance(value, dict | list) and len(value) > most:
            raise ValueError(f"may have at most {most} items")
        if isinstance(value, bool) and _is_number(cls.model_fields[info.field_name or ""].annotation):
            raise ValueError(f"must be a number, not {shown(value)}")
        return value


def _is_number(annotation: Any) -> bool:
    if get_origin(annotation) in {dict, list}:
        return False
    return annotation in {int, float} or any(map(_is_number, get_args(annotation)))


class Finish(_Body):
    """What is done to a picture after it is drawn; the neutral values do nothing."""

    sharpen: Annotated[float, Field(ge=0, le=3)] = 0
    """Strength of an unsharp mask."""
    brightness: Annotated[float, Field(ge=0, le=3)] = 1
    contrast: Annotated[float, Field(ge=0, le=3)] = 1
    saturation: Annotated[float, Field(ge=0, le=3)] = 1


class FluxRequest(_Body):
    """What all requests have in common. Unset values are the model's own defaults."""

    negative_prompt: Annotated[str, Field(max_length=MAX_CHARACTERS)] | None = None
    """What the picture should not show. Models with distilled guidance read it only if true_cfg_scale is above 1."""
    num_inference_steps: Annotated[int, Field(ge=1, le=200)] | None = None
    """Denoising steps."""
    guidance_scale: Annotated[float, Field(ge=0, le=50)] | None = None
    """How closely the picture follows the prompt."""
    true_cfg_scale: Annotated[float, Field(ge=1, le=20)] | None = None
    """Guidance away from the negative prompt, for models with distilled guidance; above 1 each step takes twice as
    long."""
    max_sequence_length: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Tokens of the prompt that are read."""
    seed: Annotated[int, Field(ge=-1, le=MAX_SEED)] | None = None
    """Of the first picture; each further one adds 1. -1 or none: drawn by chance, and part of the answer."""
    num_images: Annotated[int, Field(ge=1, le=MAX_PICTURES)] = 1
    """How many pictures."""
    lora_weights: dict[str, float] | list[float] | None = None
    """Weights of LoRAs from -4 to 4, by name or in the order of the configuration."""
    use_loras: list[bool] | None = None
    """Which LoRAs take part, in the order of the configuration."""
    output_format: Literal["png", "jpeg", "webp"] = "png"
    """Format of the pictures."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Quality of jpeg and webp; webp of 100 is lossless."""
    finish: Finish = Finish()
    """Sharpening and colour."""

    @field_validator("lora_weights")
    @classmethod
    def _are_weights(cls, value: dict[str, float] | list[float] | None) -> dict[str, float] | list[float] | None:
        weights = [*(value.values() if isinstance(value, dict) else value or ())]
        if not all(-MAX_LORA_WEIGHT <= weight <= MAX_LORA_WEIGHT for weight in weights):
            raise ValueError(f"must be weights from -{MAX_LORA_WEIGHT} to {MAX_LORA_WEIGHT}")
        return value


class Generation(FluxRequest):
    """Text to image."""

    prompt: Text
    """What the picture shows."""
    width: Side | None = None
    """Pixels, a multiple of what the model takes."""
    height: Side | None = None
    """Pixels, a multiple of what the model takes."""


class _Given(FluxRequest):
    """A request that begins with an image."""

    image: Image | None = None
    """The image, in base64 or, in a task, as a link."""
    image_url: Link | None = None
    """Where the image is; http, https or s3."""

    @property
    def sources(self) -> list[str]:
        """The images given, in base64 or as links."""
        return [source for source in (self.image, self.image_url) if source is not None]

    @model_validator(mode="after")
    def _has_its_image(self) -> Self:
        if len(self.sources) != 1:
            raise ValueError("must have an image: either image (base64) or image_url (http, https or s3)")
        return self


class _Masked(_Body):
    """A request with a mask."""

    mask: Image | None = None
    """What is redrawn, in base64 or, in a task, as a link: white is redrawn, black is kept."""
    mask_url: Link | None = None
    """Where the mask is; http, https or s3."""

    @field_validator("mask")
    @classmethod
    def _is_given(cls, value: str | None) -> str | None:
        if value == "auto":
            raise ValueError("is not made here: send one, or name what is to change in the instructions of an edit")
        return value


class Variation(Generation, _Given):
    """Image to image."""

    strength: Share | None = None
    """How much of the image is redrawn."""


class Inpainting(Generation, _Given, _Masked):
    """Redraws an image inside a mask."""

    prompt: Annotated[str, Field(max_length=MAX_CHARACTERS)] = ""
    """What the picture shows there; without one, what is there is removed."""
    strength: Share | None = None
    """How much of the image is redrawn there."""
    feather: Annotated[int, Field(ge=0, le=256)] = 0
    """Pixels over which the mask's edge is softened."""

    @model_validator(mode="after")
    def _has_one_mask(self) -> Self:
        if (self.mask is None) == (self.mask_url is None):
            raise ValueError("must have a mask: either mask (base64) or mask_url (http, https or s3)")
        return self


class Edit(_Given, _Masked):
    """Changes an image by instructions."""

    instructions: Text
    """What is to be changed."""
    images: Annotated[list[Image], Field(min_length=1)] | None = None
    """Several references, instead of image; the first is the one that is changed. In base64 or, in a task,
    as links."""
    size: str | int | None = None
    """Longer side in pixels, as 1024 or "1024", or "1024x768". Default: the image's own shape at the model's size."""
    background: Annotated[str, Form(r"^#[0-9a-fA-F]{6}$", "a colour, as #ffffff")] = "#ffffff"
    """Colour that lies under transparent parts of the image."""
    preview: bool = False
    """Whether a preview of the picture comes first, as an output of its own."""

    @property
    def sources(self) -> list[str]:
        """The images given, in base64 or as links."""
        return [*super().sources, *(self.images or ())]

    @model_validator(mode="after")
    def _has_its_image(self) -> Self:
        if sum(given is not None for given in (self.image, self.image_url, self.images)) != 1:
            raise ValueError("must have an image: one of image (base64), image_url (http, https or s3) and images")
        return self

    @model_validator(mode="after")
    def _has_one_mask_at_most(self) -> Self:
        if self.mask is not None and self.mask_url is not None:
            raise ValueError("must have one mask: mask (base64) or mask_url (http, https or s3)")
        return self

    @field_validator("size")
    @classmethod
    def _is_a_size(cls, value: str | int | None) -> str | int | None:
        if value is not None:
            sides_of(value)
        return value


def sides_of(size: str | int) -> tuple[int, int | None]:
    """Read a size: longer side alone, or width and height, in pixels.

    Raises:
        ValueError: It is none.
    """
    found = _SIZE.fullmatch(str(size).strip().lower())
    sides = [int(side) for side in found.groups() if side] if found else []
    if not sides or not all(_MIN_SIDE <= side <= MAX_SIDE for side in sides):
        raise ValueError(
            f'must be pixels, as 1024 or "1024x768", each from {_MIN_SIDE} to {MAX_SIDE}, not {shown(size)}'
        )
    return sides[0], sides[1] if len(sides) > 1 else None


REQUESTS: Mapping[str, type[FluxRequest]] = {
    TEXT_TO_IMAGE: Generation,
    IMAGE_TO_IMAGE: Variation,
    INPAINTING: Inpainting,
    EDIT: Edit,
}
"""The request of each task type."""
