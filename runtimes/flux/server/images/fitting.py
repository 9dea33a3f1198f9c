"""Resizes a request's images to the sizes that the pipeline needs."""

import math

from PIL import Image, ImageFilter, ImageOps

from runtimes.flux.families import Family
from runtimes.flux.requests import sides_of

_MIN_PIXELS = 256 * 256


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize to ``size`` and crop the excess evenly."""
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def fitted_mask(mask: Image.Image, given: tuple[int, int], size: tuple[int, int], feather: int = 0) -> Image.Image:
    """Resize a mask like its image, whose original size is ``given``; ``feather`` is the width of its soft edge."""
    laid_over = mask if mask.size == given else mask.resize(given, Image.Resampling.BILINEAR)
    resized = fitted(laid_over, size)
    return resized.filter(ImageFilter.GaussianBlur(feather / 2)) if feather else resized


def edit_size(asked: str | int | None, given: tuple[int, int], family: Family) -> tuple[int, int]:
    """Choose the size of an edited picture from the size of its image.

    ``asked`` is the longer side, or width and height; None keeps the image's shape at the model's size.
    """
    if asked is None:
        return shape_at(given, family.size**2, family)
    width, height = sides_of(asked)
    if height is not None:
        return _multiple(width, family.size_multiple), _multiple(height, family.size_multiple)
    ratio = width / max(given)
    return _within(given[0] * ratio, given[1] * ratio, family)


def variation_size(width: int | None, height: int | None, given: tuple[int, int], family: Family) -> tuple[int, int]:
    """Choose the size of a variation from the size of its image.

    With one side, keep the image's shape; with none, keep its size too, within the model's limits.
    """
    if width and height:
        return width, height
    if width:
        return width, _other_side(width, given[1] / given[0], family)
    if height:
        return _other_side(height, given[0] / given[1], family), height
    pixels = min(max(given[0] * given[1], _MIN_PIXELS), family.max_pixels)
    return shape_at(given, pixels, family)


def shape_at(given: tuple[int, int], pixels: int, family: Family) -> tuple[int, int]:
    """Scale an image's shape to a total number of pixels, and round it to the model's multiples."""
    ratio = math.sqrt(pixels / (given[0] * given[1]))
    return _within(given[0] * ratio, given[1] * ratio, family)


def _other_side(side: int, ratio: float, family: Family) -> int:
    most = _floor(family.max_pixels / side, family.size_multiple)
    return min(most, _multiple(side * ratio, family.size_multiple))


def _within(width: float, height: float, family: Family) -> tuple[int, int]:
    """Round both sides to the family's multiple, and shrink both if the picture would have too many pixels."""
    shrink = min(1.0, math.sqrt(family.max_pixels / (width * height)))
    sides = _multiple(width * shrink, family.size_multiple), _multiple(height * shrink, family.size_multiple)
    if sides[0] * sides[1] <= family.max_pixels:
        return sides
    return _floor(width * shrink, family.size_multiple), _floor(height * shrink, family.size_multiple)


def _multiple(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def _floor(side: float, multiple: int) -> int:
    return max(multiple, int(side // multiple) * multiple)
