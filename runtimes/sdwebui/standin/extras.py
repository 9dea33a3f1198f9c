"""Upscaling without prompt: the given picture is really resized and nothing is drawn."""

from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageOps

from runtimes.sdwebui.standin.catalog import require_upscaler

_NONE = "None"


def upscaled(image: Image.Image, values: Mapping[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """Return the picture resized by the factor or to the size of the body, and the parameters that describe it.

    Raises:
        BrokenError: A named upscaler does not exist.
    """
    for name in (values["upscaler_1"], values["upscaler_2"]):
        require_upscaler(name, "AssertionError")
    if values["upscaler_1"] == _NONE:
        return image, {}
    told: dict[str, Any] = {"Postprocess upscaler": values["upscaler_1"]}
    if values["resize_mode"] == 1:
        size = (values["upscaling_resize_w"], values["upscaling_resize_h"])
        words = f"{size[0]}x{size[1]}"
        return ImageOps.fit(image.convert("RGB"), size), {
            "Postprocess upscale to": words,
            **({"Postprocess crop to": words} if values["upscaling_crop"] else {}),
            **told,
        }
    factor = values["upscaling_resize"]
    # The real upscalers cut to multiples of 8.
    size = (max(8, int(image.width * factor // 8 * 8)), max(8, int(image.height * factor // 8 * 8)))
    return image.convert("RGB").resize(size), {"Postprocess upscale by": factor, **told}
