"""Upscaling without prompt: the given picture is really resized and nothing is drawn."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from runtimes.sdwebui.standin.catalog import require_upscaler

_NONE = "None"
_FILTERS = {"Nearest": Image.Resampling.NEAREST}


def upscaled(image: Image.Image, values: Mapping[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """Return the picture resized as the body asks, and what is told about it.

    Raises:
        BrokenError: A named upscaler does not exist.
    """
    names = values["upscaler_1"], values["upscaler_2"]
    for name in names:
        require_upscaler(name, "AssertionError")
    if names[0] == _NONE:
        return image, {}
    picture = image.convert("RGB")
    told: dict[str, Any] = {}
    wide, high = values["upscaling_resize_w"], values["upscaling_resize_h"]
    if values["resize_mode"] == 1:
        factor = max(wide / image.width, high / image.height)
        told["Postprocess upscale to"] = f"{wide}x{high}"
    else:
        factor = values["upscaling_resize"]
        told["Postprocess upscale by"] = factor
    result = _resized(picture, factor, names[0])
    if names[1] != _NONE and values["extras_upscaler_2_visibility"] > 0:
        result = Image.blend(result, _resized(picture, factor, names[1]), values["extras_upscaler_2_visibility"])
    if values["resize_mode"] == 1 and values["upscaling_crop"]:
        cropped = Image.new("RGB", (wide, high))
        cropped.paste(result, (wide // 2 - result.width // 2, high // 2 - result.height // 2))
        result = cropped
        told["Postprocess crop to"] = f"{wide}x{high}"
    told["Postprocess upscaler"] = names[0]
    if names[1] != _NONE and values["extras_upscaler_2_visibility"] > 0:
        told["Postprocess upscaler 2"] = names[1]
    return result, told


def _resized(image: Image.Image, factor: float, upscaler: str) -> Image.Image:
    if upscaler == _NONE:
        return image
    size = (max(8, int(image.width * factor // 8 * 8)), max(8, int(image.height * factor // 8 * 8)))
    return image.resize(size, _FILTERS.get(upscaler, Image.Resampling.LANCZOS))
