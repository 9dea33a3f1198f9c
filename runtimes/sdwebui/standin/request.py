"""One request for pictures, made ready to run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any

from PIL import Image, ImageChops

from runtimes.sdwebui.standin.catalog import resolve_sampler
from runtimes.sdwebui.standin.errors import BrokenError
from runtimes.sdwebui.standin.pictures import decode
from runtimes.standin.faults import OUT_OF_MEMORY_WORDS

_RANDOM = SystemRandom()
_SEEDS = 4294967294
_LATENT = 8
_HALF_GREY = 128
_MAX_PICTURES = 100_000
"""The real server makes lists as long as there are pictures before it draws any."""
_MAX_AT_ONCE = 1000
"""No GPU has the memory for more; the real one is out of it far earlier."""


def _seed(asked: int | None) -> int:
    return _RANDOM.randrange(_SEEDS) if asked in (None, -1) else int(asked or 0)


@dataclass(frozen=True, kw_only=True)
class WebuiRequest:
    """What is to be drawn: `values` are the body's fields, the rest is worked out from them."""

    kind: str
    values: Mapping[str, Any]
    sampler: str
    schedule: str
    seed: int
    subseed: int
    given: Image.Image | None = None
    mask: Image.Image | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures: what was asked for, cut to multiples of 8, times the second pass."""
        width, height = self.values["width"] // _LATENT * _LATENT, self.values["height"] // _LATENT * _LATENT
        if not self.values.get("enable_hr"):
            return width, height
        wide, high = self.values["hr_resize_x"], self.values["hr_resize_y"]
        if wide or high:
            return wide or width * high // height, high or height * wide // width
        return round(width * self.values["hr_scale"]), round(height * self.values["hr_scale"])

    @property
    def count(self) -> int:
        """How many pictures the request asks for."""
        return int(self.values["batch_size"] * self.values["n_iter"])

    def inpainted(self, drawn: Image.Image) -> Image.Image:
        """Return the given picture with the drawing where the mask is light; nothing else changes."""
        if self.given is None or self.mask is None:
            return drawn
        base = self.given.convert("RGB").resize(drawn.size, Image.Resampling.LANCZOS)
        mask = self.mask.resize(drawn.size).point([0] * _HALF_GREY + [255] * _HALF_GREY)
        if self.values["inpainting_mask_invert"]:
            mask = ImageChops.invert(mask)
        return Image.composite(drawn, base, mask)


def take_request(kind: str, values: Mapping[str, Any]) -> WebuiRequest:
    """Return the request of a body.

    Raises:
        RefusedError: A picture in the body cannot be read.
        BrokenError: A value makes the real server break.
    """
    given = mask = None
    if kind == "img2img":
        if not values["init_images"]:
            words = "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [0]"
            raise BrokenError("RuntimeError", words)
        given = decode(values["init_images"][0])
        mask = _as_mask(decode(values["mask"])) if values["mask"] else None
    if values["prompt"] is None or values["negative_prompt"] is None:
        raise BrokenError("AssertionError", "")
    _check_numbers(values)
    sampler, schedule = resolve_sampler(values["sampler_name"] or values["sampler_index"], values["scheduler"])
    return WebuiRequest(
        kind=kind,
        values=values,
        sampler=sampler,
        schedule=schedule,
        seed=_seed(values["seed"]),
        subseed=_seed(values["subseed"]),
        given=given,
        mask=mask,
        overrides=dict(values["override_settings"] or {}),
    )


def _as_mask(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
        return image.getchannel("A")
    return image.convert("L")


def _check_numbers(values: Mapping[str, Any]) -> None:
    width, height = values["width"] // _LATENT, values["height"] // _LATENT
    if values["batch_size"] < 1 or values["n_iter"] < 1:
        raise BrokenError("IndexError", "list index out of range")
    if values["batch_size"] * values["n_iter"] > _MAX_PICTURES:
        raise BrokenError("MemoryError", "")
    if values["batch_size"] > _MAX_AT_ONCE:
        raise BrokenError("OutOfMemoryError", OUT_OF_MEMORY_WORDS)
    if values["steps"] == 0:
        raise BrokenError("ZeroDivisionError", "integer division or modulo by zero")
    if min(width, height) < 0:
        raise BrokenError(
            "RuntimeError",
            f"Trying to create tensor with negative dimension {min(width, height)}: [4, {height}, {width}]",
        )
    if values["steps"] < 0:
        raise BrokenError("RuntimeError", "number of steps must be non-negative")
    if min(width, height) == 0:
        words = (
            f"Calculated padded input size per channel: ({height + 2} x {width + 2}). "
            "Kernel size: (3 x 3). Kernel size can't be greater than actual input size"
        )
        raise BrokenError("RuntimeError", words)
