"""The nodes: ComfyUI's declarations, and what they do here. Pictures replace tensors, names replace weights."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from runtimes.comfyui.standin.files import SHOWN_ROOT, Folders
from runtimes.standin.painter import Brief, unfinished

DECLARED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("object_info.json").read_text())
"""Entries of GET object_info. A name with $ stands for the lists of models or files."""
VOLATILE = frozenset({"SaveImageWebsocket"})
"""Nodes that always run again, even if nothing has changed."""

Images = list[Image.Image]
"""Also stands for latents; mode L means an empty one, which only has a size."""
Inputs = Mapping[str, Any]

_SEED_STRIDE = 1_000_003
_WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


class Library:
    """Sources of a node's choices: models by folder, and files."""

    def __init__(self, checkpoints: tuple[str, ...], folders: Folders) -> None:
        self.folders = folders
        self._models = {
            "checkpoints": list(checkpoints),
            "loras": ["detail.safetensors"],
            "vae": ["vae-ft-mse-840000-ema-pruned.safetensors"],
            "upscale_models": ["RealESRGAN_x4plus.pth"],
        }

    def declaration(self, declared: Any) -> Any:
        """Return an entry of GET object_info, or part of one, with the current names filled in."""
        if declared == ["$input"]:
            return sorted(path.name for path in (self.folders.root / "input").iterdir() if path.is_file())
        if isinstance(declared, dict):
            return {key: self.declaration(value) for key, value in declared.items()}
        if isinstance(declared, list) and declared and str(declared[0]).startswith("$models/"):
            return self._models[declared[0].removeprefix("$models/")]
        return [self.declaration(value) for value in declared] if isinstance(declared, list) else declared


@dataclass(frozen=True)
class Shown:
    """What an output node sends to the client; the history lists it."""

    ui: dict[str, Any]


async def _sample(run: Any, given: Inputs, seed: int, steps: int, strength: float) -> tuple[Images]:
    """Draw from a text, or redraw the latents."""

    def drawn(index: int, latent: Image.Image) -> Image.Image:
        texts = {"prompt": given["positive"], "negative": given["negative"], "checkpoint": given["model"]}
        width, height = latent.width // 8 * 8, latent.height // 8 * 8
        brief = Brief(**texts, width=width, height=height, seed=seed + index * _SEED_STRIDE)
        picture: Image.Image = run.painter.draw(brief, None if latent.mode == "L" else latent, strength)
        return picture

    images = [await asyncio.to_thread(drawn, index, latent) for index, latent in enumerate(given["latent_image"])]
    for done in range(1, steps + 1):
        await run.step(done, steps, unfinished(images[0], done / steps) if run.previews else None)
    return (images,)


def _sample_part(run: Any, given: Inputs) -> Any:
    """Draw only some of the steps; they redraw the latents by their share of all steps."""
    part = max(0, min(given["steps"], given["end_at_step"]) - given["start_at_step"])
    return _sample(run, given, given["noise_seed"], part, part / given["steps"])


def _load_image(run: Any, given: Inputs) -> tuple[Images, Images]:
    """Load a picture; its mask is white where the picture is transparent."""
    try:
        opened = Image.open(run.folders.input_file(given["image"]))
    except UnidentifiedImageError as error:
        raise UnidentifiedImageError(f"cannot identify image file '{SHOWN_ROOT}/input/{given['image']}'") from error
    frames = [ImageOps.exif_transpose(frame).convert("RGBA") for frame in ImageSequence.Iterator(opened)]
    return [one.convert("RGB") for one in frames], [ImageChops.invert(one.getchannel("A")) for one in frames]


def _new(given: Inputs, mode: str, colour: Any) -> tuple[Images]:
    return ([Image.new(mode, (given["width"], given["height"]), colour)] * given["batch_size"],)


def _resized(images: Images, width: int, height: int, crop: str = "disabled") -> tuple[Images]:
    """Resize pictures; a side of 0 follows the other. "center" crops the excess."""
    first = images[0]
    width = width or (max(1, round(first.width * height / first.height)) if height else first.width)
    height = height or max(1, round(first.height * width / first.width))
    return (
        [ImageOps.fit(one, (width, height)) if crop == "center" else one.resize((width, height)) for one in images],
    )


def _batch(_: Any, given: Inputs) -> tuple[Images]:
    """Join two batches at the size of the first."""
    (others,) = _resized(given["image2"], given["image1"][0].width, given["image1"][0].height, "center")
    return ([*given["image1"], *others],)


def _save(run: Any, images: Images, prefix: str, kind: str) -> Shown:
    """Save pictures that contain the prompt."""
    info = PngInfo()
    for key, value in {"prompt": run.prompt, **run.pnginfo}.items():
        info.add_text(key, json.dumps(value))
    files = (run.painter.file(image, "PNG", pnginfo=info, compress_level=4) for image in images)
    return Shown({"images": [run.folders.put(kind, prefix, ".png", file) for file in files]})


def _save_moving(run: Any, given: Inputs, form: str, **settings: Any) -> Shown:
    """Save pictures as frames of an animation."""
    images = given["images"]
    frames = {"save_all": True, "append_images": images[1:], "duration": int(1000 / given["fps"])}
    file = run.painter.file(images[0], form, **frames, **settings)
    listed = run.folders.put("output", given["filename_prefix"], f".{form.lower()}", file)
    return Shown({"images": [listed], "animated": [len(images) != 1]})


def _send(run: Any, given: Inputs) -> None:
    """Send pictures through the websocket without saving them."""
    for index, image in enumerate(given["images"]):
        run.report(index, len(given["images"]), image, "PNG")


def pass_on(_: Any, given: Inputs) -> tuple[Any, ...]:
    """Return the first input as every output: names serve as weights, pictures as latents."""
    return (next(iter(given.values())),) * 3


NODES: dict[str, Callable[[Any, Any], Any]] = {
    "LoraLoader": lambda _, given: (f"{given['model']}+{given['lora_name']}@{given['strength_model']}", given["clip"]),
    "ImageUpscaleWithModel": lambda _, given: _resized(given["image"], *(4 * side for side in given["image"][0].size)),
    "EmptyLatentImage": lambda _, given: _new(given, "L", 0),
    "LatentUpscale": lambda _, given: _resized(given["samples"], given["width"], given["height"], given["crop"]),
    "KSampler": lambda run, given: _sample(run, given, given["seed"], given["steps"], given["denoise"]),
    "KSamplerAdvanced": _sample_part,
    "EmptyImage": lambda _, given: _new(given, "RGB", tuple(given["color"].to_bytes(3, "big"))),
    "LoadImage": _load_image,
    "ImageScale": lambda _, given: _resized(given["image"], given["width"], given["height"], given["crop"]),
    "ImageInvert": lambda _, given: ([ImageChops.invert(one) for one in given["image"]],),
    "ImageBatch": _batch,
    "SaveImage": lambda run, given: _save(run, given["images"], given["filename_prefix"], "output"),
    "PreviewImage": lambda run, given: _save(run, given["images"], "ComfyUI_temp", "temp"),
    "SaveImageWebsocket": _send,
    "SaveAnimatedWEBP": lambda run, given: _save_moving(
        run, given, "WEBP", lossless=given["lossless"], quality=given["quality"], method=_WEBP_METHODS[given["method"]]
    ),
    "SaveAnimatedPNG": lambda run, given: _save_moving(run, given, "PNG", compress_level=given["compress_level"]),
    "PreviewAny": lambda _, given: Shown({"text": [str(given["source"])]}),
}
"""The function of each class of node: it takes the running prompt and the inputs, and returns outputs or Shown.

All other classes pass their input on.
"""
