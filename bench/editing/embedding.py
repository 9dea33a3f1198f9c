"""Pictures as they stand in a page: within it, so that it is one file."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from bench.editing.likeness import like
from bench.editing.scoring import UNREADABLE

DIFFERENCE_GAIN = 3
"""Differences are shown so much stronger than they are."""

_MAX_SIDE = 512
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with its title; the source is empty where there is none."""

    title: str
    source: str


def shown_pictures(given: Path | None, result: Path | None, reference: Path | None) -> list[Shown]:
    """What stands side by side: input, result, reference, and how the last two differ."""
    named = {"input": _opened(given), "result": _opened(result), "reference": _opened(reference)}
    pictures = [Shown(title, _source(picture)) for title, picture in named.items()]
    difference = _difference(named["result"], named["reference"])
    return [*pictures, Shown(f"difference, {DIFFERENCE_GAIN}-fold", _source(difference))]


def _opened(path: Path | None) -> Image.Image | None:
    if path is None:
        return None
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except UNREADABLE:
        return None


def _difference(result: Image.Image | None, reference: Image.Image | None) -> Image.Image | None:
    if result is None or reference is None:
        return None
    difference = ImageChops.difference(like(result, reference), reference)
    return difference.point([min(255, value * DIFFERENCE_GAIN) for value in range(256)] * 3)


def _source(picture: Image.Image | None) -> str:
    """A data URI, made smaller where it has more pixels than a page can show."""
    if picture is None:
        return ""
    small = picture.copy()
    small.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
