"""What the AnimateDiff extension makes of an order: the pictures of each batch become one that moves."""

from typing import Any

from PIL import Image, ImageChops

from runtimes.sdwebui.standin.order import Order
from runtimes.sdwebui.standin.pictures import encode_animation

_FORMS = ("GIF", "WEBP")
_FRAMES = 16
_FRAMES_PER_S = 8
_MAX_FRAMES = 64


def animate(order: Order, images: list[Image.Image]) -> list[str]:
    """Return one base64 animation per batch and format, or nothing where the order does not ask for any.

    Args:
        order: The order.
        images: Its pictures, batch by batch, no grid among them.
    """
    wish = _wish(order)
    if wish is None:
        return []
    forms = [form for form in _FORMS if form in wish.get("format", _FORMS[:1])]
    count = min(_MAX_FRAMES, max(2, int(wish.get("video_length") or _FRAMES)))
    frame_ms = 1000 // max(1, int(wish.get("fps") or _FRAMES_PER_S))
    firsts = images[:: order.values["batch_size"]]
    return [encode_animation(_frames(image, count), form, frame_ms) for image in firsts for form in forms or _FORMS[:1]]


def _wish(order: Order) -> dict[str, Any] | None:
    for name, script in order.values["alwayson_scripts"].items():
        args = script.get("args") if isinstance(script, dict) else None
        if name.lower() == "animatediff" and args and isinstance(args[0], dict) and args[0].get("enable", True):
            return dict(args[0])
    return None


def _frames(image: Image.Image, count: int) -> list[Image.Image]:
    """Return the picture drifting once around, so that the last frame leads into the first."""
    return [ImageChops.offset(image, round(image.width * index / count), 0) for index in range(count)]
