"""How alike two pictures are, by PSNR and SSIM, with Pillow alone."""

import math
from functools import partial
from typing import Any

from PIL import Image, ImageChops, ImageMath, ImageStat

MAX_PSNR_DB = 100.0
"""Stands for equal pictures, whose PSNR is infinite."""

_PEAK = 255
_WINDOW = 7
_PIXELS = _WINDOW**2
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2


def like(picture: Image.Image, reference: Image.Image) -> Image.Image:
    """A picture in RGB in the size of another, so that the two can be compared."""
    rgb = picture.convert("RGB")
    return rgb if rgb.size == reference.size else rgb.resize(reference.size, Image.Resampling.LANCZOS)


def psnr_db(picture: Image.Image, reference: Image.Image) -> float:
    """Peak signal-to-noise ratio of two RGB pictures of one size, over all bands together."""
    stat = ImageStat.Stat(ImageChops.difference(picture, reference))
    mean_square = sum(stat.sum2) / sum(stat.count)
    return MAX_PSNR_DB if mean_square == 0 else min(MAX_PSNR_DB, 10 * math.log10(_PEAK**2 / mean_square))


def ssim(picture: Image.Image, reference: Image.Image) -> float:
    """Structural similarity of two RGB pictures of one size, the mean of the bands; 1 where they are equal.

    Even windows of 7 by 7 pixels that lie wholly in the picture, and variances of samples: what scikit-image's
    ``structural_similarity(…, channel_axis=2)`` does. Both sides must be 7 pixels or longer.
    """
    bands = zip(picture.split(), reference.split(), strict=True)
    values = [_band_ssim(one, other) for one, other in bands]
    return sum(values) / len(values)


def _band_ssim(one: Image.Image, other: Image.Image) -> float:
    """SSIM of two bands; ImageMath makes whole numbers of them, and 49 * 49 * 255 * 255 fits into their 32 bits."""
    product = partial(_calculated, lambda args: args["a"] * args["b"])
    sums = {
        "x": _window_sums(one),
        "y": _window_sums(other),
        "xx": _window_sums(product(a=one, b=one)),
        "yy": _window_sums(product(a=other, b=other)),
        "xy": _window_sums(product(a=one, b=other)),
    }
    return float(_mean(_calculated(_ssim_of_windows, **sums)))


def _ssim_of_windows(sums: dict[str, Any]) -> Any:
    """The formula for each window, from the sums of its pixels, their squares and their products."""
    x, y = sums["x"], sums["y"]
    spread = _PIXELS * (_PIXELS - 1.0)
    covariance = (_PIXELS * sums["xy"] - x * y) / spread
    variances = (_PIXELS * sums["xx"] - x * x + _PIXELS * sums["yy"] - y * y) / spread
    luminance = (2.0 * x * y / _PIXELS**2 + _C1) / ((x * x + y * y) / float(_PIXELS**2) + _C1)
    return luminance * (2.0 * covariance + _C2) / (variances + _C2)


def _window_sums(values: Image.Image) -> Image.Image:
    """Sums over every window; the picture loses the window's size less one on each axis."""
    width, height = values.width - _WINDOW + 1, values.height - _WINDOW + 1
    rows = _summed([values.crop((shift, 0, shift + width, values.height)) for shift in range(_WINDOW)])
    return _summed([rows.crop((0, shift, width, shift + height)) for shift in range(_WINDOW)])


def _summed(parts: list[Image.Image]) -> Image.Image:
    names = {f"p{number}": part for number, part in enumerate(parts)}
    return _calculated(lambda args: sum((args[name] for name in names), start=0), **names)


def _calculated(formula: Any, **operands: Image.Image) -> Image.Image:
    result: Image.Image = ImageMath.lambda_eval(formula, **operands)
    return result


def _mean(values: Image.Image) -> Any:
    return values.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
