"""What flows between nodes: pictures instead of tensors, names instead of weights."""

from dataclasses import dataclass
from typing import Any

from PIL import Image

_SHOWN_SIDE = 18

Images = list[Image.Image]


@dataclass(frozen=True)
class Model:
    """A checkpoint, a text encoder or a decoder: its name is all that is left of it."""

    name: str


@dataclass(frozen=True)
class Latent:
    """Pictures on their way through sampling; `empty` ones carry no picture yet, only its size."""

    images: tuple[Image.Image, ...]
    empty: bool = False


@dataclass(frozen=True)
class Media:
    """An audio or video file: its bytes and the ending of its name."""

    data: bytes
    suffix: str


def describe(value: Any) -> str:
    """Return the value as an execution error tells it: pictures as long dumps of numbers, as the real server does."""
    if isinstance(value, list) and value and isinstance(value[0], Image.Image):
        return _tensor(value)
    if isinstance(value, Latent):
        return "{'samples': " + _tensor(list(value.images)) + "}"
    return str(value)


def _tensor(images: Images) -> str:
    image = images[0].convert("RGB")
    image.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    rows = []
    for y in range(image.height):
        pixels = (image.getpixel((x, y)) for x in range(image.width))
        cells = [", ".join(f"{v / 255:.4f}" for v in pixel) for pixel in pixels if isinstance(pixel, tuple)]
        rows.append("[" + ",\n          ".join(f"[{cell}]" for cell in cells) + "]")
    return "tensor([[" + ",\n\n         ".join(rows) + "]])"
