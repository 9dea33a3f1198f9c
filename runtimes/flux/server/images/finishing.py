"""Finishes a drawn picture: sharpening, colour and file format."""

import io
from dataclasses import dataclass
from typing import Any
from zlib import Z_RLE

from PIL import Image, ImageEnhance, ImageFilter

from runtimes.flux.requests import Finish

_PNG: dict[str, Any] = {"compress_level": 1, "compress_type": Z_RLE}
"""Measured at 1024²: as fast as plain level 1 with files a quarter smaller, and up to 5 times as fast as level 6 with
files of the same size."""
_WEBP_EFFORT = 2
_LOSSLESS = 100
_SHARPEN_RADIUS = 2.0


@dataclass(frozen=True, slots=True)
class Finishing:
    """Settings of finishing; ``quality`` is for jpeg and webp, and 100 makes webp lossless."""

    finish: Finish = Finish()  # noqa: RUF009 (frozen)
    output_format: str = "png"
    quality: int = 95

    @property
    def content_type(self) -> str:
        """Media type of the pictures."""
        return f"image/{self.output_format}"

    def apply(self, picture: Image.Image) -> bytes:
        """Sharpen, colour and encode a picture in RGB; neutral values leave its pixels unchanged."""
        finish = self.finish
        if finish.sharpen:
            percent = round(finish.sharpen * 100)
            picture = picture.filter(ImageFilter.UnsharpMask(radius=_SHARPEN_RADIUS, percent=percent, threshold=2))
        for enhancer, factor in (
            (ImageEnhance.Brightness, finish.brightness),
            (ImageEnhance.Contrast, finish.contrast),
            (ImageEnhance.Color, finish.saturation),
        ):
            if factor != 1:
                picture = enhancer(picture).enhance(factor)
        file = io.BytesIO()
        picture.save(file, self.output_format.upper(), **self._save_options())
        return file.getvalue()

    def _save_options(self) -> dict[str, Any]:
        if self.output_format == "png":
            return _PNG
        if self.output_format == "webp" and self.quality == _LOSSLESS:
            return {"lossless": True, "quality": 0, "method": 0}  # both mean effort if lossless
        if self.output_format == "webp":
            return {"quality": self.quality, "method": _WEBP_EFFORT}
        return {"quality": self.quality, "subsampling": 0}
