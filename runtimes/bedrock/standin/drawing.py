"""What the stand-in draws for each task type: landscapes, and simple changes of the pictures that it is given."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageChops, ImageFilter, ImageOps

from runtimes.bedrock import families
from runtimes.standin.painter import Brief, Painter

Paint = Callable[[int, int], Image.Image]
"""Draws a body's landscape in a size."""

_PIXELS = 1024 * 1024
_CORE_PIXELS = 1536 * 1536
_MULTIPLE = 64
_LARGEST_UPSCALE = 4096
_TOLERANCE = 48


def seed_of(body: Mapping[str, Any]) -> int:
    """The body's seed; where it has none, or 0, one by chance."""
    return body.get("seed") or random.randint(1, families.MAX_SEED)  # noqa: S311 (no secret)


def draw(
    body: Mapping[str, Any],
    pictures: Mapping[str, Image.Image],
    family: families.BedrockFamily,
    seed: int,
    painter: Painter,
) -> Image.Image:
    """The picture of a body that was checked; the same body and seed give the same one."""
    task_type = next(iter(family.bodies)) if body.get("mode") is None else body["mode"]
    given = pictures.get("image") or pictures.get("init_image")

    def paint(width: int, height: int) -> Image.Image:
        prompt, negative = body.get("prompt") or family.title, body.get("negative_prompt") or ""
        brief = Brief(prompt=prompt, negative=negative, seed=seed, width=width, height=height, checkpoint=family.name)
        return painter.draw(brief)

    if given is None or task_type == families.STYLE_GUIDE:
        return paint(*_size_of(body.get("aspect_ratio", "1:1"), family))
    return _changed(given, body, pictures, task_type, paint)


def _changed(
    given: Image.Image, body: Mapping[str, Any], pictures: Mapping[str, Image.Image], task_type: str, paint: Paint
) -> Image.Image:
    """The given picture, changed as the task type says."""
    opaque = given.convert("RGB")
    match task_type:
        case families.OUTPAINTING:
            left, right, up, down = (int(body.get(side) or 0) for side in families.SIDES)
            drawn = paint(given.width + left + right, given.height + up + down)
            drawn.paste(opaque, (left, up))
        case families.REMOVE_BACKGROUND:
            drawn = _cut_out(opaque)
        case families.UPSCALE:
            factor = min(4.0, _LARGEST_UPSCALE / max(given.size))
            drawn = opaque.resize((round(given.width * factor), round(given.height * factor)))
        case families.INPAINTING:
            drawn = _filled(given, pictures.get("mask"), paint(*given.size))
        case families.ERASE:
            drawn = _filled(given, pictures.get("mask"), opaque.filter(ImageFilter.GaussianBlur(min(given.size) / 8)))
        case _:
            strength = float(body.get("strength", body.get("change_strength", 0.7)))
            drawn = Image.blend(opaque, paint(*given.size), strength)
    return drawn


def _size_of(ratio: str, family: families.BedrockFamily) -> tuple[int, int]:
    """About a megapixel, for Core the area of 1536 x 1536, in multiples of 64."""
    wide, high = map(int, ratio.split(":"))
    pixels = _CORE_PIXELS if family.name.endswith("core") else _PIXELS
    width = (pixels * wide / high) ** 0.5
    return round(width / _MULTIPLE) * _MULTIPLE, round(width * high / wide / _MULTIPLE) * _MULTIPLE


def _filled(given: Image.Image, mask: Image.Image | None, new: Image.Image) -> Image.Image:
    """The picture with what is white in the mask, or transparent in itself, replaced."""
    chosen = ImageOps.invert(given.convert("RGBA").getchannel("A")) if mask is None else mask.convert("L")
    return Image.composite(new, given.convert("RGB"), chosen.resize(given.size))


def _cut_out(opaque: Image.Image) -> Image.Image:
    """The picture without what looks like its upper left corner."""
    ground = opaque.crop((0, 0, 1, 1)).resize(opaque.size)
    difference = ImageChops.difference(opaque, ground).convert("L")
    opaque.putalpha(difference.point([255 if value > _TOLERANCE else 0 for value in range(256)]))
    return opaque
