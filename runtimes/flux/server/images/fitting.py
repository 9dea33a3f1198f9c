"""Images of a request, brought to the size that the pipeline is to have them in."""

import math

from PIL import Image, ImageFilter, ImageOps

from runtimes.flux.families import Family
from runtimes.flux.requests import sides_of

_MIN_PIXELS = 256 * 256


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize to a size; what sticks out is cut off evenly."""
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def fitted_mask(mask: Image.Image, given: tuple[int, int], size: tuple[int, int], feather: int = 0) -> Image.Image:
    """Resize a mask the way its image, which had a given size, is; ``feather`` softens its edge over so many pixels."""
    laid_over = mask if mask.size == given else mask.resize(given, Image.Resampling.BILINEAR)
    resized = fitted(laid_over, size)
    return resized.filter(ImageFilter.GaussianBlur(feather / 2)) if feather else resized


def edit_size(asked: str | int | None, given: tuple[int, int], family: Family) -> tuple[int, int]:
    """Choose the size of a picture that changes an image of a given size.

    ``asked`` is its longer side, or width and height; None takes the image's shape at the model's size.
    """
    if asked is None:
        return shape_at(given, family.size**2, family)
    width, height = sides_of(asked)
    if height is not None:
        return _multiple(width, family.size_multiple), _multiple(height, family.size_multiple)
    ratio = width / max(given)
    return _within(given[0] * ratio, given[1] * ratio, family)


def variation_size(width: int | None, height: int | None, given: tuple[int, int], family: Family) -> tuple[int, int]:
    """Choose the size of a picture that begins with an image of a given size.

    Where one side is not asked for, the image's shape is kept; without both, its size too, as far as the model goes.
    """
    if width and height:
        return width, height
    if width:
        return width, _beside(width, given[1] / given[0], family)
    if height:
        return _beside(height, given[0] / given[1], family), height
    pixels = min(max(given[0] * given[1], _MIN_PIXELS), family.max_pixels)
    return shape_at(given, pixels, family)


def shape_at(given: tuple[int, int], pixels: int, family: Family) -> tuple[int, int]:
    """Keep an image's shape at so many pixels in all, rounded to what the model takes."""
    ratio = math.sqrt(pixels / (given[0] * given[1]))
    return _within(given[0] * ratio, given[1] * ratio, family)


def _beside(side: int, ratio: float, family: Family) -> int:
    """The other side of a picture, as far as the model goes."""
    most = _floor(family.max_pixels / side, family.size_multiple)
    return min(most, _multiple(side * ratio, family.size_multiple))


def _within(width: float, height: float, family: Family) -> tuple[int, int]:
    """Round both sides to the family's multiple, and shrink both where they are too many pixels together."""
    shrink = min(1.0, math.sqrt(family.max_pixels / (width * height)))
    sides = _multiple(width * shrink, family.size_multiple), _multiple(height * shrink, family.size_multiple)
    if sides[0] * sides[1] <= family.max_pixels:
        return sides
    return _floor(width * shrink, family.size_multiple), _floor(height * shrink, family.size_multiple)


def _multiple(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def _floor(side: float, multiple: int) -> int:
    return max(multiple, int(side // multiple) * multiple)
