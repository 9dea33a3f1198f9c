"""What the AnimateDiff extension makes of a request: the pictures of each batch become one that moves."""

import base64
import io

from PIL import Image, ImageChops

from runtimes.sdwebui.standin.request import WebuiRequest

_FORMS = ("GIF", "WEBP")
_FRAMES = 16
_FRAME_MS = 125
_MAX_FRAMES = 64


def animate(request: WebuiRequest, images: list[Image.Image]) -> list[str]:
    """Return one base64 animation per batch and format, or nothing where the request does not ask for any.

    Args:
        request: The request.
        images: Its pictures, batch by batch, no grid among them.
    """
    scripts = {name.lower(): script for name, script in request.values["alwayson_scripts"].items()}
    args = scripts.get("animatediff", {}).get("args")
    if not args or not args[0].get("enable", True):
        return []
    count = min(_MAX_FRAMES, max(2, int(args[0].get("video_length") or _FRAMES)))
    forms = [form for form in _FORMS if form in args[0].get("format", _FORMS)] or _FORMS[:1]
    firsts = images[:: request.values["batch_size"]]
    return [_moving(image, count, form) for image in firsts for form in forms]


def _moving(image: Image.Image, count: int, form: str) -> str:
    """The picture drifts once around, so that the last frame leads into the first."""
    frames = [ImageChops.offset(image, round(image.width * index / count), 0) for index in range(count)]
    held = io.BytesIO()
    frames[0].save(held, form, save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0)
    return base64.b64encode(held.getvalue()).decode()
