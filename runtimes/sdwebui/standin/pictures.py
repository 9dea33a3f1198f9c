"""Pictures as SD WebUI takes and gives them: base64, with the generation's text inside."""

import base64
import binascii
import io
import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from runtimes.sdwebui.standin.errors import WebuiHTTPError
from runtimes.sdwebui.standin.options import WebuiOptions
from runtimes.standin.painter import Painter

_USER_COMMENT = 0x9286
_EXIF_FOLDER = 0x8769
_FORMS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}


def decode(encoded: object) -> Image.Image:
    """Return the picture of a base64 text, with or without data URI.

    Raises:
        RefusedError: It is no picture, or a link: to a local address, or to a place out of reach.
    """
    text = encoded if isinstance(encoded, str) else ""
    if text.startswith(("http://", "https://")):
        raise WebuiHTTPError(500, "Request to local resource not allowed" if _is_local(text) else "Invalid image url")
    try:
        if text.startswith("data:image/"):
            text = text.split(";")[1].split(",")[1]
        image = Image.open(io.BytesIO(base64.b64decode(text)))
        image.load()
    except (binascii.Error, IndexError, ValueError, OSError, SyntaxError) as error:
        raise WebuiHTTPError(500, "Invalid encoded image") from error
    return image


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or "localhost"
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"


def encode(image: Image.Image, text: dict[str, str], options: WebuiOptions, painter: Painter) -> str:
    """Return the picture as the painter's base64 in the format that the options name, the texts inside it.

    Raises:
        RefusedError: The options name a format that does not exist.
    """
    form = _FORMS.get(str(options["samples_format"]).lower())
    if form is None:
        raise WebuiHTTPError(500, "Invalid image format")
    if form == "PNG":
        info = PngInfo()
        for key, value in text.items():
            info.add_text(key, value)
        return painter.base64(image, form, pnginfo=info)
    exif = Image.Exif()
    exif.get_ifd(_EXIF_FOLDER)[_USER_COMMENT] = b"UNICODE\0" + "\n".join(text.values()).encode("utf-16-be")
    chosen: dict[str, Any] = {"lossless": bool(options["webp_lossless"])} if form == "WEBP" else {}
    return painter.base64(image.convert("RGB"), form, quality=int(options["jpeg_quality"]), exif=exif, **chosen)


def grid(images: Sequence[Image.Image]) -> Image.Image:
    """Return the pictures side by side."""
    width, height = images[0].size
    sheet = Image.new("RGB", (len(images) * width, height))
    for index, image in enumerate(images):
        sheet.paste(image, (index * width, 0))
    return sheet
