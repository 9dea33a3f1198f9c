"""Traces a picture as SVG."""

import io
import re

import vtracer
from PIL import Image

_SETTINGS = {
    "colormode": "color",
    "filter_speckle": 8,
    "color_precision": 5,
    "layer_difference": 32,
    "path_precision": 1,
}
"""A quarter of the size of vtracer's defaults, with nothing lost that an icon shows."""
_ELEMENTS = frozenset({"svg", "path"})
_TAG = re.compile(r"<\s*/?\s*([^\s/>]+)")
_HEAD = re.compile(r"^\s*<\?xml[^>]*\?>\s*(?:<!--[^>]*-->\s*)?")
_SIZE = re.compile(r'<svg ([^>]*?)width="(\d+)" height="(\d+)"')


_MAX_SIDE = 512
"""Pixels that are traced: of a picture like noise, 1024 take 15 seconds and 4 MB, and icons show no more for it."""


class UnsafeSvgError(ValueError):
    """A traced picture has an element that is neither svg nor path."""


def traced(png: bytes) -> str:
    """Trace a PNG; what is transparent there is in the SVG, too. The SVG has paths and nothing else.

    Raises:
        UnsafeSvgError: The tracer wrote something else after all.
    """
    svg = _HEAD.sub("", vtracer.convert_raw_image_to_svg(_smaller(png), img_format="png", **_SETTINGS))
    if strange := set(_TAG.findall(svg)) - _ELEMENTS:
        raise UnsafeSvgError(f"the traced picture has {', '.join(sorted(strange))} beside paths")
    # With a viewBox, a page can give it any size.
    return _SIZE.sub(r'<svg \1viewBox="0 0 \2 \3" width="\2" height="\3"', svg)


def _smaller(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as image:
        if max(image.size) <= _MAX_SIDE:
            return png
        image.thumbnail((_MAX_SIDE, _MAX_SIDE))
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()
