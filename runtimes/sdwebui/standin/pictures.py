"""SD WebUI's format of pictures, and what it makes of finished ones: animations and larger pictures."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageChops, ImageOps
from PIL.PngImagePlugin import PngInfo

from runtimes.sdwebui.standin.errors import broken, rejected
from runtimes.sdwebui.standin.machine import CATALOG
from runtimes.standin.painter import Painter

_ANIMATIONS = ("GIF", "WEBP")
_MAX_FRAMES = 64


def decode(encoded: object) -> Image.Image:
    """Decode a picture in base64, with or without a data URI.

    Raises:
        WebuiError: It is not a picture.
    """
    try:
        image = Image.open(io.BytesIO(base64.b64decode(str(encoded).rpartition(",")[2])))
        image.load()
    except (ValueError, OSError, SyntaxError) as error:
        raise rejected(500, "Invalid encoded image") from error
    return image


def encode(image: Image.Image, key: str, text: str, painter: Painter) -> str:
    """Return the picture as the painter's PNG in base64, with the text inside."""
    info = PngInfo()
    info.add_text(key, text)
    return painter.base64(image, "PNG", pnginfo=info)


def animate(values: Mapping[str, Any], images: list[Image.Image], painter: Painter) -> list[str]:
    """Return the AnimateDiff extension's animations of a request's pictures: one per batch and format.

    In each, the picture shifts around once. Empty if the request has none.
    """
    scripts = {name.lower(): script for name, script in values["alwayson_scripts"].items()}
    args = scripts.get("animatediff", {}).get("args")
    if not args or not args[0].get("enable", True):
        return []
    count = min(_MAX_FRAMES, max(2, int(args[0].get("video_length") or 16)))
    forms = [form for form in _ANIMATIONS if form in args[0].get("format", _ANIMATIONS)] or _ANIMATIONS[:1]
    animations = []
    for image in images[:: values["batch_size"]]:
        frames = [ImageChops.offset(image, image.width * index // count, 0) for index in range(count)]
        moving = {"save_all": True, "append_images": frames[1:], "duration": 125, "loop": 0}
        animations += [painter.base64(frames[0], form, **moving) for form in forms]
    return animations


def require_upscaler(name: str, error: str) -> None:
    """Check that an upscaler exists.

    Raises:
        WebuiError: It does not; `error` is the class of exception that the real server raises here.
    """
    if all(one["name"] != name for one in CATALOG["upscalers"]):
        raise broken(error, f"could not find upscaler named {name}")


def upscaled(image: Image.Image, values: Mapping[str, Any]) -> tuple[Image.Image, str]:
    """Return the picture, resized by the body's factor or to its size, and the text about that.

    Raises:
        WebuiError: A named upscaler does not exist.
    """
    for name in (values["upscaler_1"], values["upscaler_2"]):
        require_upscaler(name, "AssertionError")
    if values["upscaler_1"] == "None":
        return image, ""
    by, factor = f"Postprocess upscaler: {values['upscaler_1']}", values["upscaling_resize"]
    if values["resize_mode"] == 1:
        size = (values["upscaling_resize_w"], values["upscaling_resize_h"])
        return ImageOps.fit(image.convert("RGB"), size), f"Postprocess upscale to: {size[0]}x{size[1]}, {by}"
    # The real upscalers crop to multiples of 8.
    size = (max(8, int(image.width * factor // 8 * 8)), max(8, int(image.height * factor // 8 * 8)))
    return image.convert("RGB").resize(size), f"Postprocess upscale by: {factor}, {by}"
