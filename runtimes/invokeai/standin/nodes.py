"""What each type of node does: it takes the running item and its fields, and returns its output."""

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageFilter

from runtimes.standin.painter import Brief, unfinished

Fields = Mapping[str, Any]


class NodeError(Exception):
    """A node failed with an exception of the real server."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind
        self.words = words


def _load_model(run: Any, given: Fields) -> dict[str, Any]:
    record = run.record_of(given["model"])
    model = {key: record[key] for key in ("key", "hash", "name", "base", "type")}
    parts = {"unet": {"unet": model}, "clip": {"text_encoder": model}, "vae": {"vae": model}}
    return {**parts, "type": "model_loader_output"}


def _compel(run: Any, given: Fields) -> dict[str, Any]:
    run.report("Building conditioning")
    return {"conditioning": {"conditioning_name": given["prompt"]}, "type": "conditioning_output"}


def _noise(_: Any, given: Fields) -> dict[str, Any]:
    size = {"width": given["width"], "height": given["height"]}
    return {"noise": {"latents_name": "noise", "seed": given["seed"], **size}, **size, "type": "noise_output"}


async def _denoise(run: Any, given: Fields) -> dict[str, Any]:
    noise = given["noise"]
    size = {"width": noise["width"], "height": noise["height"]}
    brief = Brief(
        prompt=str(given["positive_conditioning"]["conditioning_name"]),
        negative=str(given["negative_conditioning"]["conditioning_name"]),
        checkpoint=given["unet"]["unet"]["name"],
        seed=noise["seed"],
        **size,
    )
    start = given["latents"] and run.latents[given["latents"]["latents_name"]]
    picture = await asyncio.to_thread(run.painter.draw, brief, start, 1 - given["denoising_start"])
    for number in range(1, given["steps"] + 1):
        await run.step(number, given["steps"], unfinished(picture, number / given["steps"]))
    return _latents(run, picture)


def _decode(run: Any, given: Fields) -> Any:
    run.report("Running VAE decoder")
    return run.save(run.latents[given["latents"]["latents_name"]])


def _encode(run: Any, given: Fields) -> dict[str, Any]:
    return _latents(run, run.open(given["image"]))


def _latents(run: Any, picture: Image.Image) -> dict[str, Any]:
    """Keep a picture as latents, which are a file of the real server."""
    name = f"Tensor_{uuid.uuid4()}"
    run.latents[name] = picture
    size = {"width": picture.width, "height": picture.height}
    return {"latents": {"latents_name": name, "seed": None}, **size, "type": "latents_output"}


def _blank(run: Any, given: Fields) -> Any:
    colour = tuple(given["color"][part] for part in "rgba")[: len(given["mode"])]
    return run.save(Image.new(given["mode"], (given["width"], given["height"]), colour))


def _resize(run: Any, given: Fields) -> Any:
    return run.save(run.open(given["image"]).resize((given["width"], given["height"])))


def _blur(run: Any, given: Fields) -> Any:
    return run.save(run.open(given["image"]).filter(ImageFilter.GaussianBlur(given["radius"])))


def _lerp(run: Any, given: Fields) -> Any:
    low, high = given["min"], given["max"]
    return run.save(run.open(given["image"]).convert("RGB").point(lambda value: low + value * (high - low) // 255))


def _show(run: Any, given: Fields) -> dict[str, Any]:
    """Pass a picture on as it is."""
    picture = run.open(given["image"])
    return {"image": given["image"], "width": picture.width, "height": picture.height, "type": "image_output"}


def _random_integer(_: Any, given: Fields) -> dict[str, Any]:
    return {"value": random.randrange(given["low"], given["high"]), "type": "integer_output"}  # noqa: S311 (no secret)


NODES: dict[str, Callable[[Any, Fields], Any]] = {
    "main_model_loader": _load_model,
    "compel": _compel,
    "noise": _noise,
    "denoise_latents": _denoise,
    "l2i": _decode,
    "i2l": _encode,
    "blank_image": _blank,
    "img_resize": _resize,
    "img_blur": _blur,
    "img_lerp": _lerp,
    "image": _show,
    "save_image": lambda run, given: run.save(run.open(given["image"])),
    "string": lambda _, given: {"value": given["value"], "type": "string_output"},
    "integer": lambda _, given: {"value": given["value"], "type": "integer_output"},
    "rand_int": _random_integer,
}
"""The others are declared and cannot run."""
