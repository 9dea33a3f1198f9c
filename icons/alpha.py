"""Makes the plain ground of a drawn picture transparent: a flood fill from the border."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

TOLERANCE = 24
"""How far a channel of the ground may be from the border's median, of 255."""
MAX_PIXELS = 4096 * 4096
_MIN_PLAIN = 0.75
"""Share of the border that must be ground: an icon may touch the border here and there."""
_MIN_LEFT = 0.002
"""Share of the picture that must remain: less is an empty picture."""
_OPAQUE = 255

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class NoPictureError(ValueError):
    """The bytes are no picture that can be read, or one that is too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """A picture after its ground was cut out.

    Attributes:
        png: RGBA.
        kept_ground: Why the ground is still there; None where it is transparent.
    """

    png: bytes
    kept_ground: str | None = None


def cut_out(picture: bytes, *, side: int | None = None) -> Cutout:
    """Make a picture's ground transparent. A picture that has no plain ground stays as it is, and says so.

    A pixel at the edge of what is drawn keeps the colour that is drawn, without the ground that is mixed in.

    Args:
        picture: A file, as PNG.
        side: The longer side of the result in pixels, if the picture is larger. Default: its own.

    Raises:
        NoPictureError: It is none.
    """
    pixels = _read(picture)
    if (pixels[..., 3] < _OPAQUE).any():
        return Cutout(png=_written(pixels, side), kept_ground=None)  # its model has cut it out
    colours = pixels[..., :3]
    border = np.concatenate([colours[0], colours[-1], colours[1:-1, 0], colours[1:-1, -1]])
    ground = np.median(border, axis=0).astype(np.int16)
    distance = np.abs(colours.astype(np.int16) - ground).max(axis=2).astype(np.uint8)
    is_plain = distance <= TOLERANCE
    at_border = np.concatenate([is_plain[0], is_plain[-1], is_plain[1:-1, 0], is_plain[1:-1, -1]])
    if at_border.mean() < _MIN_PLAIN:
        return Cutout(png=_written(pixels, side), kept_ground="the picture has no plain ground at its border")
    filled = from_border(is_plain)
    if 1 - filled.mean() < _MIN_LEFT:
        return Cutout(png=_written(pixels, side), kept_ground="the picture is nothing but ground")
    _unmix(pixels, filled, distance, ground)
    return Cutout(png=_written(pixels, side))


def from_border(mask: Mask) -> Mask:
    """The part of a mask that is connected with its border, by sides.

    Each row's runs are nodes; labels spread along the edges between rows, twice as far in each round, so that a maze
    takes as many rounds as its length has digits.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 1), dtype=np.int8)  # the column ends each row's last run
    padded[:, :width] = mask
    steps = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    if not len(starts):
        return np.zeros_like(mask)
    rows, columns = np.divmod(starts, width + 1)
    touches = (rows == 0) | (rows == height - 1) | (columns == 0) | (ends % (width + 1) == width)
    first = np.searchsorted(ends, starts + width + 1, side="right")
    after = np.searchsorted(starts, ends + width + 1, side="left")
    labels = _components(len(starts), first, np.maximum(after - first, 0))
    reached = np.zeros(len(starts), dtype=bool)
    reached[labels[touches]] = True
    kept = reached[labels]
    marks = np.zeros(padded.size + 1, dtype=np.int8)
    marks[starts[kept]] = 1
    marks[ends[kept]] -= 1
    return np.asarray(np.cumsum(marks[:-1], dtype=np.int8).reshape(padded.shape)[:, :width].astype(bool))


def _components(count: int, first: Any, counts: Any) -> Any:
    """The smallest node of each node's component. Node n is connected with ``counts[n]`` nodes from ``first[n]`` on."""
    upper = np.repeat(np.arange(count), counts)
    offsets = np.arange(len(upper)) - np.repeat(np.cumsum(counts) - counts, counts)
    lower = first[upper] + offsets
    labels = np.arange(count)
    while True:
        ours, theirs = labels[upper], labels[lower]
        differ = ours != theirs
        if not differ.any():
            return labels
        low, high = np.minimum(ours[differ], theirs[differ]), np.maximum(ours[differ], theirs[differ])
        np.minimum.at(labels, high, low)
        while not np.array_equal(shorter := labels[labels], labels):
            labels = shorter


def _unmix(pixels: Pixels, filled: Mask, distance: Pixels, ground: Any) -> None:
    """Clear what is filled; at its edge, take the ground's share out of each pixel."""
    pixels[filled, 3] = 0
    edge = _widest(filled.astype(np.uint8)).astype(bool) & ~filled
    inside = np.where(filled, np.uint8(0), distance)
    full = np.maximum(_widest(inside)[edge], 1).astype(np.float32)
    share = np.clip(distance[edge] / full, 0.02, 1)[:, None]
    colours = pixels[edge, :3].astype(np.float32)
    pixels[edge, :3] = np.clip((colours - (1 - share) * ground) / share, 0, _OPAQUE).round()
    pixels[edge, 3] = (share[:, 0] * _OPAQUE).round()


def _widest(values: Pixels) -> Pixels:
    """The largest value of each pixel and its eight neighbours."""
    padded = np.pad(values, 1)
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _read(picture: bytes) -> Pixels:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise NoPictureError(f"the picture has {image.width} by {image.height} pixels, which is too many")
            return np.array(image.convert("RGBA"))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as exc:
        raise NoPictureError("the file is no picture that can be read") from exc


def _written(pixels: Pixels, side: int | None) -> bytes:
    image = Image.fromarray(pixels, "RGBA")
    if side is not None and side < max(image.size):
        image.thumbnail((side, side), Image.Resampling.LANCZOS)  # Pillow weighs the colours by their alpha
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
