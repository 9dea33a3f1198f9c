"""Pictures as SD WebUI takes and gives them: base64, with the generation's text inside."""

import base64
import binascii
import io
import ipaddress
import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from runtimes.sdwebui.standin.errors import RefusedError
from runtimes.sdwebui.standin.options import Options
from runtimes.standin.painter import Painter

_USER_COMMENT = 0x9286
_EXIF_FOLDER = 0x8769


def decode(encoded: object) -> Image.Image:
    """Return the picture of a base64 text, with or without data URI.

    Raises:
        RefusedError: It is no picture, or a link: to a local address, or to a place out of reach.
    """
    text = encoded if isinstance(encoded, str) else ""
    if text.startswith(("http://", "https://")):
        raise RefusedError(500, "Request to local resource not allowed" if _is_local(text) else "Invalid image url")
    try:
        if text.startswith("data:image/"):
            text = text.split(";")[1].split(",")[1]
        image = Image.open(io.BytesIO(base64.b64decode(text)))
        image.load()
    except (binascii.Error, IndexError, ValueError, OSError, UnidentifiedImageError, SyntaxError) as error:
        raise RefusedError(500, "Invalid encoded image") from error
    return image


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or "localhost"
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"


def _exif(text: str) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(_EXIF_FOLDER)[_USER_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    return exif.tobytes()


def _as_png(image: Image.Image, text: dict[str, str], _: Options, painter: Painter) -> str:
    info = PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    return painter.base64(image, "PNG", pnginfo=info)


def _as_jpeg(image: Image.Image, text: dict[str, str], options: Options, painter: Painter) -> str:
    exif = _exif("\n".join(text.values()))
    return painter.base64(image.convert("RGB"), "JPEG", quality=int(options["jpeg_quality"]), exif=exif)


def _as_webp(image: Image.Image, text: dict[str, str], options: Options, painter: Painter) -> str:
    chosen: dict[str, Any] = {"quality": int(options["jpeg_quality"]), "lossless": bool(options["webp_lossless"])}
    return painter.base64(image.convert("RGB"), "WEBP", exif=_exif("\n".join(text.values())), **chosen)


_FORMS: dict[str, Callable[[Image.Image, dict[str, str], Options, Painter], str]] = {
    "png": _as_png,
    "jpg": _as_jpeg,
    "jpeg": _as_jpeg,
    "webp": _as_webp,
}


def encode(image: Image.Image, text: dict[str, str], options: Options, painter: Painter) -> str:
    """Return the picture as the painter's base64 in the format that the options name, the texts inside it.

    Raises:
        RefusedError: The options name a format that does not exist.
    """
    form = _FORMS.get(str(options["samples_format"]).lower())
    if form is None:
        raise RefusedError(500, "Invalid image format")
    return form(image, text, options, painter)


def encode_animation(frames: Sequence[Image.Image], form: str, frame_ms: int) -> str:
    """Return the frames as one endless base64 animation; form is GIF or WEBP."""
    held = io.BytesIO()
    frames[0].save(held, form, save_all=True, append_images=list(frames[1:]), duration=frame_ms, loop=0)
    return base64.b64encode(held.getvalue()).decode()


def grid(images: Sequence[Image.Image]) -> Image.Image:
    """Return the pictures side by side in rows as even as they come."""
    rows = math.isqrt(len(images))
    while len(images) % rows:
        rows -= 1
    columns = len(images) // rows
    width, height = images[0].size
    sheet = Image.new("RGB", (columns * width, rows * height), "black")
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * width, index // columns * height))
    return sheet
