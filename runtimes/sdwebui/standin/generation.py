"""txt2img and img2img: from a request to the pictures and info of the answer."""

import asyncio
import json
import time
from collections.abc import Mapping
from functools import partial
from random import SystemRandom
from typing import Any

from PIL import Image, ImageChops

from runtimes.sdwebui.standin.errors import broken
from runtimes.sdwebui.standin.machine import CATALOG, Checkpoint, WebuiMachine
from runtimes.sdwebui.standin.pictures import animate, decode, encode, require_upscaler
from runtimes.standin.faults import LOOK_S, OUT_OF_MEMORY_WORDS
from runtimes.standin.painter import Brief, unfinished

_VERSION = "1.10.1"
_TURN_S = 0.02
_PREVIEW_SCALE = 4
_SEEDS = 4294967294
_MAX_PICTURES = 100_000
"""The real server makes lists with an item for each picture before it draws any."""
_MAX_AT_ONCE = 1000
"""No GPU has memory for more; the real server runs out far earlier."""


async def generate(machine: WebuiMachine, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run a request when its turn comes; return the answer's body.

    Raises:
        WebuiError, InjectedError: An error of the real server, or a fault.
    """
    async with machine.job(f"scripts_{kind}", values["force_task_id"]):
        request = _Drawing(kind, values)
        overrides = dict(values["override_settings"] or {})
        # Only options that were saved before are restored; the others stay.
        stored = {key: machine.saved[key] for key in overrides if key in machine.saved}
        try:
            checkpoint = _override(machine, values, overrides)
            images = await _draw(machine, request, checkpoint)
            info = _info(machine, request, checkpoint, len(images))
        finally:
            if values["override_settings_restore_afterwards"]:
                for key, value in stored.items():
                    machine.set_option(key, value)
        # The real server encodes before it answers, and no client can start the next job earlier: encoding is part of
        # this job.
        encoded = await asyncio.to_thread(_encode, machine, values, images, info) if values["send_images"] else []
    hidden = {} if values.get("include_init_images", True) else {"init_images": None, "mask": None}
    return {"images": encoded, "parameters": {**values, **hidden}, "info": json.dumps(info, ensure_ascii=False)}


class _Drawing:
    """The work for a request: `values` are the body's fields, and the rest follows from them."""

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        self.values = values
        self.given = self.mask = None
        if kind == "img2img":
            if not values["init_images"]:
                words = "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [0]"
                raise broken("RuntimeError", words)
            self.given = decode(values["init_images"][0])
            self.mask = decode(values["mask"]).convert("L") if values["mask"] else None
        _check(values)
        name, wanted = values["sampler_name"] or values["sampler_index"], values["scheduler"]
        # The server silently replaces unknown names.
        samplers, schedulers = CATALOG["samplers"], CATALOG["schedulers"]
        sampler = next((one for one in samplers if name == one["name"] or name in one["aliases"]), samplers[0])
        wanted = wanted or sampler["options"].get("scheduler")
        schedule = next((one for one in schedulers if wanted in (one["name"], one["label"])), schedulers[0])
        self.sampler, self.schedule = sampler["name"], schedule["label"]
        self.seed = SystemRandom().randrange(_SEEDS) if values["seed"] in (None, -1) else values["seed"]
        width, height = values["width"] // 8 * 8, values["height"] // 8 * 8
        if values.get("enable_hr"):
            wide, high, scale = values["hr_resize_x"], values["hr_resize_y"], values["hr_scale"]
            width, height = wide or round(width * scale), high or round(height * scale)
        self.size = width, height


def _check(values: Mapping[str, Any]) -> None:
    """Fail where the real server fails."""
    width, height, batch, batches = (values[name] for name in ("width", "height", "batch_size", "n_iter"))
    small = (
        f"Calculated padded input size per channel: ({height // 8 + 2} x {width // 8 + 2}). "
        "Kernel size: (3 x 3). Kernel size can't be greater than actual input size"
    )
    for is_broken, kind, words in (
        (values["prompt"] is None or values["negative_prompt"] is None, "AssertionError", ""),
        (min(batch, batches) < 1, "IndexError", "list index out of range"),
        (batch * batches > _MAX_PICTURES, "MemoryError", ""),
        (batch > _MAX_AT_ONCE, "OutOfMemoryError", OUT_OF_MEMORY_WORDS),
        (values["steps"] == 0, "ZeroDivisionError", "integer division or modulo by zero"),
        (values["steps"] < 0, "RuntimeError", "number of steps must be non-negative"),
        (min(width, height) < 8, "RuntimeError", small),  # noqa: PLR2004 - pixels in a latent
    ):
        if is_broken:
            raise broken(kind, words)


def _override(machine: WebuiMachine, values: Mapping[str, Any], overrides: dict[str, Any]) -> Checkpoint:
    """Set the overridden options; return the checkpoint that is loaded then."""
    if machine.find_checkpoint(overrides.get("sd_model_checkpoint")) is None:
        overrides.pop("sd_model_checkpoint", None)
    for key, value in overrides.items():
        machine.set_option(key, value)
    checkpoint = machine.load_checkpoint()
    upscaler = values.get("hr_upscaler") if values.get("enable_hr") else None
    if upscaler is not None and all(one["name"] != upscaler for one in CATALOG["latent_upscale_modes"]):
        require_upscaler(upscaler, "Exception")
    return checkpoint


async def _draw(machine: WebuiMachine, request: _Drawing, checkpoint: Checkpoint) -> list[Image.Image]:
    progress, size, batches = machine.progress, request.values["batch_size"], request.values["n_iter"]
    progress.job_count = batches
    images: list[Image.Image] = []
    for batch in range(batches):
        if progress.interrupted:
            break
        if batches > 1:
            progress.job = f"Batch {batch + 1} out of {batches}"
        machine.paint_preview = partial(_preview, machine, request, checkpoint, request.seed + batch * size)
        share = await _sample(machine, request)
        for seed in range(request.seed + batch * size, request.seed + (batch + 1) * size):
            picture = await asyncio.to_thread(_picture, machine, request, checkpoint, seed)
            images.append(unfinished(picture, share) if share < 1 else picture)
        progress.job_no += 1
        progress.sampling_step = 0
    return images


def _preview(machine: WebuiMachine, request: _Drawing, checkpoint: Checkpoint, seed: int) -> str:
    """The current state of the first picture of a batch, a quarter as wide and high, as a JPEG in base64."""
    progress = machine.progress
    picture = unfinished(_picture(machine, request, checkpoint, seed), progress.sampling_step / progress.sampling_steps)
    return machine.control.painter.base64(picture.reduce(_PREVIEW_SCALE), "JPEG")


async def _sample(machine: WebuiMachine, request: _Drawing) -> float:
    """Wait for the steps of a batch; return the share that was done."""
    progress, control, steps = machine.progress, machine.control, request.values["steps"]
    progress.sampling_steps = steps
    turn_s = time.monotonic()
    for step in range(steps):
        while control.holds(step + 1) and not progress.interrupted:  # noqa: ASYNC110 (there is no event for both)
            await asyncio.sleep(LOOK_S)
        if progress.interrupted:
            return float(step / steps)
        progress.sampling_step = step
        step_s = control.faults.step_s + control.faults.job_s / steps / request.values["n_iter"]
        if step_s or time.monotonic() > turn_s + _TURN_S:
            # A request can have any number of steps; meanwhile, the server must answer, and can be stopped.
            await asyncio.sleep(step_s)
            turn_s = time.monotonic()
    return 1.0


def _picture(machine: WebuiMachine, request: _Drawing, checkpoint: Checkpoint, seed: int) -> Image.Image:
    """Draw a picture; with a mask, only where the mask is white."""
    values, (width, height) = request.values, request.size
    texts = {"prompt": values["prompt"], "negative": values["negative_prompt"], "checkpoint": checkpoint.name}
    brief = Brief(**texts, seed=seed, width=width, height=height)
    strength = values["denoising_strength"]
    drawn = machine.control.painter.draw(brief, request.given, 0.75 if strength is None else strength)
    if request.given is None or request.mask is None:
        return drawn
    mask = request.mask.resize(drawn.size).point([0] * 128 + [255] * 128)
    if values["inpainting_mask_invert"]:
        mask = ImageChops.invert(mask)
    return Image.composite(drawn, request.given.convert("RGB").resize(drawn.size, Image.Resampling.LANCZOS), mask)


def _info(machine: WebuiMachine, request: _Drawing, checkpoint: Checkpoint, drawn: int) -> dict[str, Any]:
    """The values in `info`, in the real server's order: those of the body, and those derived from them."""
    values, skip = request.values, int(machine.options["CLIP_stop_at_last_layers"])
    count = values["batch_size"] * values["n_iter"]
    known: dict[str, Any] = {
        **CATALOG["info"],
        **{key: value for key, value in values.items() if value is not None},
        "all_prompts": [values["prompt"]] * count,
        "all_negative_prompts": [values["negative_prompt"]] * count,
        "seed": request.seed,
        "all_seeds": [request.seed + index for index in range(count)],
        "all_subseeds": [values["subseed"]] * count,
        "sampler_name": request.sampler,
        "sd_model_name": checkpoint.model_name,
        "sd_model_hash": checkpoint.sha256[:10],
        "infotexts": [_infotext(request, checkpoint, request.seed + index, skip) for index in range(drawn)],
        "job_timestamp": machine.progress.job_timestamp,
        "clip_skip": skip,
        "version": _VERSION,
    }
    return {key: known[key] for key in CATALOG["info"]}


def _infotext(request: _Drawing, checkpoint: Checkpoint, seed: int, skip: int) -> str:
    """The text in a picture that describes its generation."""
    values = request.values
    pairs = {
        "Steps": values["steps"],
        "Sampler": request.sampler,
        "Schedule type": request.schedule,
        "CFG scale": values["cfg_scale"],
        "Seed": seed,
        "Size": f"{values['width']}x{values['height']}",
        "Model hash": checkpoint.sha256[:10],
        "Model": checkpoint.model_name,
        **({"Clip skip": skip} if skip > 1 else {}),
        "Version": _VERSION,
    }
    negative = f"Negative prompt: {values['negative_prompt']}" if values["negative_prompt"] else ""
    lines = [values["prompt"], negative, ", ".join(f"{key}: {value}" for key, value in pairs.items())]
    return "\n".join(filter(None, lines)).strip()


def _encode(
    machine: WebuiMachine, values: Mapping[str, Any], images: list[Image.Image], info: Mapping[str, Any]
) -> list[str]:
    painter = machine.control.painter
    # The extension's animations replace all pictures.
    return animate(values, images, painter) or [
        encode(image, "parameters", text, painter) for image, text in zip(images, info["infotexts"], strict=True)
    ]
