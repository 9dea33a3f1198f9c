"""The nodes: importing this module enters each in the registry. Pictures stand for tensors, names for weights."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from runtimes.comfyui.standin.files import SHOWN_ROOT
from runtimes.comfyui.standin.registry import Shown, node
from runtimes.standin.painter import Brief, unfinished

_GREY = (127, 127, 127)
_UPSCALE_FACTOR = 4
_SEED_STRIDE = 1_000_003
_LETTERS = "abcdefghijklmnopqrstupvxyz"
_RANDOM = SystemRandom()
_SHOWN_SIDE = 32
_FILTERS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bislerp": Image.Resampling.BICUBIC,
}
_WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}

Images = list[Image.Image]


@dataclass(frozen=True)
class Latent:
    """Pictures on their way through sampling; `empty` ones carry no picture yet, only its size."""

    images: Images
    empty: bool = False


def describe(value: Any) -> str:
    """Return the value as an execution error shows it: pictures as long dumps of numbers, as the real server does."""
    if isinstance(value, Latent):
        return "{'samples': " + describe(value.images) + "}"
    if isinstance(value, list) and value and isinstance(value[0], Image.Image):
        small = value[0].convert("RGB").resize((_SHOWN_SIDE, _SHOWN_SIDE))
        return f"tensor({[byte / 255 for byte in small.tobytes()]})"
    return str(value)


@node("CheckpointLoaderSimple")
def load_checkpoint(ckpt_name: str) -> tuple[str, str, str]:
    """Load a checkpoint: its name stands for its weights."""
    return ckpt_name, ckpt_name, ckpt_name


@node("VAELoader")
def load_vae(vae_name: str) -> tuple[str]:
    """Load a decoder, by name only."""
    return (vae_name,)


@node("LoraLoader")
def load_lora(model: str, clip: str, lora_name: str, strength_model: float, strength_clip: float) -> tuple[str, str]:
    """Load a LoRA: model and text encoder get another name, so that the picture changes."""
    return f"{model}+{lora_name}@{strength_model}", f"{clip}+{lora_name}@{strength_clip}"


@node("UpscaleModelLoader")
def load_upscaler(model_name: str) -> tuple[str]:
    """Load an upscaler, by name only."""
    return (model_name,)


@node("ImageUpscaleWithModel")
def upscale_with_model(image: Images, **_: str) -> tuple[Images]:
    """Resize to four times the size."""
    return (_resized(image, image[0].width * _UPSCALE_FACTOR, image[0].height * _UPSCALE_FACTOR, "lanczos"),)


@node("CLIPTextEncode")
def encode_text(text: str, **_: str) -> tuple[str]:
    """Hand the text on."""
    return (text,)


@node("EmptyLatentImage")
def empty_latent(width: int, height: int, batch_size: int) -> tuple[Latent]:
    """Make latents without a picture; sizes are cut to multiples of 8."""
    return (Latent([Image.new("RGB", (width // 8 * 8, height // 8 * 8), _GREY)] * batch_size, empty=True),)


@node("LatentUpscale")
def upscale_latent(samples: Latent, upscale_method: str, width: int, height: int, crop: str) -> tuple[Latent]:
    """Resize what the latents hold."""
    return (Latent(_resized(samples.images, width, height, upscale_method, crop), empty=samples.empty),)


@node("VAEDecode")
def decode_latent(samples: Latent, **_: str) -> tuple[Images]:
    """Take the pictures out of the latents."""
    return (samples.images,)


@node("VAEEncode")
def encode_latent(pixels: Images, **_: str) -> tuple[Latent]:
    """Put pictures into latents, cut to multiples of 8."""
    return (Latent([one.crop((0, 0, one.width // 8 * 8, one.height // 8 * 8)) for one in pixels]),)


@node("KSampler")
async def sample(context: Any, *, seed: int, steps: int, denoise: float, **inputs: Any) -> tuple[Latent]:
    """Draw from a text, or redraw what the latents hold by `denoise`."""
    return await _sample(context, inputs, seed, steps, denoise)


@node("KSamplerAdvanced")
async def sample_part(
    context: Any, *, noise_seed: int, steps: int, start_at_step: int, end_at_step: int, **inputs: Any
) -> tuple[Latent]:
    """Draw only some of the steps; what the latents hold is redrawn by their share of all."""
    part = max(0, min(steps, end_at_step) - start_at_step)
    return await _sample(context, inputs, noise_seed, part, part / steps)


async def _sample(context: Any, inputs: Mapping[str, Any], seed: int, steps: int, strength: float) -> tuple[Latent]:
    latent: Latent = inputs["latent_image"]

    def drawn(index: int, image: Image.Image) -> Image.Image:
        brief = Brief(
            prompt=inputs["positive"],
            negative=inputs["negative"],
            seed=seed + index * _SEED_STRIDE,
            width=image.width,
            height=image.height,
            checkpoint=inputs["model"],
        )
        picture: Image.Image = context.painter.draw(brief, None if latent.empty else image, strength)
        return picture

    images = [await asyncio.to_thread(drawn, index, image) for index, image in enumerate(latent.images)]
    for done in range(1, steps + 1):
        preview = unfinished(images[0], done / steps) if context.previews else None
        await context.step(done, steps, preview, "JPEG")
    return (Latent(images),)


@node("EmptyImage")
def empty_image(width: int, height: int, batch_size: int, color: int) -> tuple[Images]:
    """Make pictures of one colour."""
    return ([Image.new("RGB", (width, height), (color >> 16 & 255, color >> 8 & 255, color & 255))] * batch_size,)


@node("LoadImage", file_input="image")
def load_image(context: Any, image: str) -> tuple[Images, Images]:
    """Load a picture; its mask is light where the picture is transparent."""
    path = context.folders.input_file(image)
    if path is None:
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{SHOWN_ROOT}/input/{image}'")
    try:
        opened = Image.open(path)
    except UnidentifiedImageError as error:
        raise UnidentifiedImageError(f"cannot identify image file '{SHOWN_ROOT}/input/{image}'") from error
    frames = [ImageOps.exif_transpose(frame).convert("RGBA") for frame in ImageSequence.Iterator(opened)]
    same = [frame for frame in frames if frame.size == frames[0].size]
    return [one.convert("RGB") for one in same], [ImageChops.invert(one.getchannel("A")) for one in same]


@node("ImageScale")
def scale(image: Images, upscale_method: str, width: int, height: int, crop: str) -> tuple[Images]:
    """Resize to a size."""
    return (_resized(image, width, height, upscale_method, crop),)


@node("ImageInvert")
def invert(image: Images) -> tuple[Images]:
    """Turn every colour into its opposite."""
    return ([ImageChops.invert(one) for one in image],)


@node("ImageBatch")
def batch(image1: Images, image2: Images) -> tuple[Images]:
    """Put two batches together in the size of the first."""
    return ([*image1, *_resized(image2, image1[0].width, image1[0].height, "bilinear", "center")],)


def _resized(images: Images, width: int, height: int, method: str, crop: str = "disabled") -> Images:
    """The pictures in another size; a side of 0 follows the other. "center" cuts off what does not fit."""
    first = images[0]
    width = width or (max(1, round(first.width * height / first.height)) if height else first.width)
    height = height or max(1, round(first.height * width / first.width))
    if crop == "center":
        return [ImageOps.fit(image, (width, height), _FILTERS[method]) for image in images]
    return [image.resize((width, height), _FILTERS[method]) for image in images]


@node("SaveImage")
def save_image(context: Any, images: Images, filename_prefix: str) -> Shown:
    """Save pictures with the prompt inside them."""
    return _save_each(context, images, filename_prefix, "output")


@node("PreviewImage")
def preview_image(context: Any, images: Images) -> Shown:
    """Save pictures among the temporary ones."""
    return _save_each(context, images, "ComfyUI_temp_" + "".join(_RANDOM.choices(_LETTERS, k=5)), "temp")


def _save_each(context: Any, images: Images, prefix: str, kind: str) -> Shown:
    spot = context.folders.spot(kind, prefix, images[0].size)
    info = PngInfo()
    for key, value in {"prompt": context.prompt, **context.pnginfo}.items():
        info.add_text(key, json.dumps(value))
    listed = []
    for index, image in enumerate(images):
        name = f"{spot.stem}_{spot.number + index:05}_.png"
        file = context.painter.file(image, "PNG", pnginfo=info, compress_level=4)
        (spot.folder / name).write_bytes(file)
        listed.append({"filename": name, "subfolder": spot.subfolder, "type": kind})
    return Shown({"images": listed})


@node("SaveImageWebsocket", is_volatile=True)
def send_image(context: Any, images: Images) -> None:
    """Send pictures through the websocket and save none."""
    for index, image in enumerate(images):
        context.report(index, len(images), image)


@node("SaveAnimatedWEBP")
def save_webp(context: Any, *, images: Images, filename_prefix: str, fps: float, **chosen: Any) -> Shown:
    """Save pictures as the frames of one animated WebP."""
    chosen["method"] = _WEBP_METHODS[chosen["method"]]
    return _save_moving(context, images, filename_prefix, ".webp", {**chosen, "duration": int(1000 / fps)})


@node("SaveAnimatedPNG")
def save_apng(context: Any, images: Images, filename_prefix: str, fps: float, compress_level: int) -> Shown:
    """Save pictures as the frames of one animated PNG."""
    chosen = {"duration": int(1000 / fps), "compress_level": compress_level}
    return _save_moving(context, images, filename_prefix, ".png", chosen)


def _save_moving(context: Any, images: Images, prefix: str, suffix: str, chosen: Mapping[str, Any]) -> Shown:
    spot = context.folders.spot("output", prefix, images[0].size)
    name = f"{spot.stem}_{spot.number:05}_{suffix}"
    images[0].save(spot.folder / name, save_all=True, append_images=images[1:], **chosen)
    listed = {"filename": name, "subfolder": spot.subfolder, "type": "output"}
    return Shown({"images": [listed], "animated": [len(images) != 1]})


@node("PreviewAny")
def preview_any(source: Any) -> Shown:
    """Show a value as text."""
    return Shown({"text": [str(source)]})
