"""Nodes that give pictures and text to the client."""

import json
import time
from collections.abc import Mapping
from random import SystemRandom
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from runtimes.comfyui.standin.registry import Context, Input, Shown, choice, link, node, real, text, whole
from runtimes.comfyui.standin.values import Images

_PREFIX_HELP = (
    "The prefix for the file to save. This may include formatting information such as %date:yyyy-MM-dd% or "
    "%Empty Latent Image.width% to include values from nodes."
)
_LETTERS = "abcdefghijklmnopqrstupvxyz"
_RANDOM = SystemRandom()
_WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


def _metadata(context: Context) -> PngInfo:
    info = PngInfo()
    info.add_text("prompt", json.dumps(context.prompt))
    for key, value in context.pnginfo.items():
        info.add_text(key, json.dumps(value))
    return info


def _save_each(context: Context, images: Images, prefix: str, kind: str) -> Shown:
    spot = context.folders.spot(kind, prefix, images[0].size)
    listed = []
    for index, image in enumerate(images):
        name = f"{spot.stem.replace('%batch_num%', str(index))}_{spot.number + index:05}_.png"
        file = context.painter.file(image, "PNG", pnginfo=_metadata(context), compress_level=4)
        (spot.folder / name).write_bytes(file)
        listed.append({"filename": name, "subfolder": spot.subfolder, "type": kind})
    return Shown({"images": listed})


@node(
    "SaveImage",
    inputs={
        "images": link("IMAGE", "The images to save."),
        "filename_prefix": text(default="ComfyUI", tooltip=_PREFIX_HELP),
    },
    category="image",
    display="Save Image",
    description="Saves the input images to your ComfyUI output directory.",
    output=True,
    hidden=True,
)
def save_image(context: Context, images: Images, filename_prefix: str) -> Shown:
    """Save pictures with the prompt inside them."""
    return _save_each(context, images, filename_prefix, "output")


@node(
    "PreviewImage",
    inputs={"images": link("IMAGE")},
    category="image",
    display="Preview Image",
    description="Saves the input images to your ComfyUI output directory.",
    output=True,
    hidden=True,
)
def preview_image(context: Context, images: Images) -> Shown:
    """Save pictures among the temporary ones."""
    prefix = "ComfyUI_temp_" + "".join(_RANDOM.choice(_LETTERS) for _ in range(5))
    return _save_each(context, images, prefix, "temp")


@node(
    "SaveImageWebsocket",
    inputs={"images": link("IMAGE")},
    category="api/image",
    output=True,
    module="custom_nodes.websocket_image_save",
    fingerprint=lambda _inputs, _library: str(time.time_ns()),
)
def send_image(context: Context, images: Images) -> None:
    """Send pictures through the websocket and save none."""
    for index, image in enumerate(images):
        context.tell(index, len(images), image)


def _save_moving(context: Context, images: Images, prefix: str, suffix: str, chosen: Mapping[str, Any]) -> Shown:
    spot = context.folders.spot("output", prefix, images[0].size)
    name = f"{spot.stem}_{spot.number:05}_{suffix}"
    images[0].save(spot.folder / name, save_all=True, append_images=images[1:], **chosen)
    return Shown(
        {"images": [{"filename": name, "subfolder": spot.subfolder, "type": "output"}], "animated": [len(images) != 1]}
    )


_MOVING = {
    "images": link("IMAGE"),
    "filename_prefix": text(default="ComfyUI"),
    "fps": real(6.0, 0.01, 1000.0, step=0.01),
}


@node(
    "SaveAnimatedWEBP",
    inputs={
        **_MOVING,
        "lossless": Input("BOOLEAN", {"default": True}),
        "quality": whole(80, 0, 100),
        "method": choice(list(_WEBP_METHODS)),
    },
    category="image/animation",
    output=True,
    hidden=True,
    module="comfy_extras.nodes_images",
)
def save_webp(
    context: Context, *, images: Images, filename_prefix: str, fps: float, lossless: bool, quality: int, method: str
) -> Shown:
    """Save pictures as the frames of one animated WebP."""
    exif = Image.Exif()
    exif[0x0110] = f"prompt:{json.dumps(context.prompt)}"
    chosen = {"duration": int(1000 / fps), "lossless": lossless, "quality": quality, "method": _WEBP_METHODS[method]}
    return _save_moving(context, images, filename_prefix, ".webp", {**chosen, "exif": exif})


@node(
    "SaveAnimatedPNG",
    inputs={**_MOVING, "compress_level": whole(4, 0, 9)},
    category="image/animation",
    output=True,
    hidden=True,
    module="comfy_extras.nodes_images",
)
def save_apng(context: Context, images: Images, filename_prefix: str, fps: float, compress_level: int) -> Shown:
    """Save pictures as the frames of one animated PNG."""
    chosen = {"duration": int(1000 / fps), "compress_level": compress_level}
    return _save_moving(context, images, filename_prefix, ".png", chosen)


@node(
    "PreviewAny",
    inputs={"source": Input("*", {})},
    category="utils",
    display="Preview Any",
    output=True,
    module="comfy_extras.nodes_preview_any",
)
def preview_any(source: Any) -> Shown:
    """Show a value as text."""
    return Shown({"text": [source if isinstance(source, str) else str(source)]})
