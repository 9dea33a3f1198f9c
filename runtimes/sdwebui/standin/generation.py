"""txt2img and img2img: from an order to the answer's pictures and info."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from PIL import Image

from runtimes.sdwebui.standin import infotext
from runtimes.sdwebui.standin.animation import animate
from runtimes.sdwebui.standin.catalog import catalog, require_upscaler
from runtimes.sdwebui.standin.checkpoints import Checkpoint
from runtimes.sdwebui.standin.errors import BrokenError
from runtimes.sdwebui.standin.machine import Machine
from runtimes.sdwebui.standin.order import Order, take_order
from runtimes.sdwebui.standin.pictures import encode, grid
from runtimes.standin.faults import LOOK_S
from runtimes.standin.painter import Brief, unfinished

_PREVIEW_PART = 4
_TURN_S = 0.02


@dataclass(kw_only=True)
class Result:
    """What came out of an order: pictures with their texts, and the values that `info` reports."""

    images: list[Image.Image]
    texts: list[str]
    info: dict[str, Any]


async def generate(machine: Machine, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run one request when its turn comes and return the answer's body.

    Raises:
        RefusedError, BrokenError, InjectedError: As the real server or the faults in force would have it.
    """
    async with machine.job(f"scripts_{kind}", values["force_task_id"]):
        order = take_order(kind, values)
        stored = machine.options.stored(list(order.overrides))
        try:
            _override(machine, order)
            result = await _run(machine, order)
        finally:
            if values["override_settings_restore_afterwards"]:
                for key, value in stored.items():
                    machine.options.set(key, value)
        # The real server encodes after it gave the options back, so an overridden samples_format is lost. It does so
        # before it answers, and no client can give the GPU its next job any sooner: it is part of this one.
        images = await asyncio.to_thread(_encoded, machine, order, result) if values["send_images"] else []
    return {"images": images, "parameters": _parameters(values), "info": json.dumps(result.info, ensure_ascii=False)}


def _encoded(machine: Machine, order: Order, result: Result) -> list[str]:
    # The extension puts its animations in the place of all pictures, and leaves the index of the first as it was.
    return animate(order, result.images[result.info["index_of_first_image"] :]) or [
        encode(image, {"parameters": text}, machine.options, machine.stage.painter)
        for image, text in zip(result.images, result.texts, strict=True)
    ]


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    hidden = {} if values.get("include_init_images", True) else {"init_images": None, "mask": None}
    return {**values, **hidden}


def _override(machine: Machine, order: Order) -> None:
    if machine.checkpoints.find(order.overrides.get("sd_model_checkpoint")) is None:
        order.overrides.pop("sd_model_checkpoint", None)
    for key, value in order.overrides.items():
        machine.options.set(key, value)
    loaded = machine.checkpoints.loaded
    wanted = machine.checkpoints.find(machine.options["sd_model_checkpoint"])
    if loaded is None or (wanted is not None and wanted is not loaded):
        machine.load_checkpoint()
    values = order.values
    if values["refiner_checkpoint"] not in (None, "", "None", "none") and values["refiner_switch_at"]:
        _require_checkpoint(machine, values["refiner_checkpoint"])
    if values.get("enable_hr"):
        upscaler = values["hr_upscaler"]
        if upscaler is not None and all(one["name"] != upscaler for one in catalog()["latent_upscale_modes"]):
            require_upscaler(upscaler, "Exception")
        if values["hr_checkpoint_name"] not in (None, "", "Use same checkpoint"):
            _require_checkpoint(machine, values["hr_checkpoint_name"])


def _require_checkpoint(machine: Machine, name: str) -> None:
    if machine.checkpoints.find(name) is None:
        raise BrokenError("Exception", f"Could not find checkpoint with name {name}")


async def _run(machine: Machine, order: Order) -> Result:
    progress, values = machine.progress, order.values
    checkpoint = machine.checkpoints.loaded
    if checkpoint is None:
        raise BrokenError("AttributeError", "'NoneType' object has no attribute 'sd_checkpoint_info'")
    progress.job_count = values["n_iter"]
    images: list[Image.Image] = []
    for batch in range(values["n_iter"]):
        if progress.interrupted:
            break
        progress.skipped = False
        if values["n_iter"] > 1:
            progress.job = f"Batch {batch + 1} out of {values['n_iter']}"
        share = await _sample(machine, order)
        first = order.seed + batch * values["batch_size"]
        seeds = range(first, first + values["batch_size"])
        images += [await asyncio.to_thread(_draw, machine, order, checkpoint, seed, share) for seed in seeds]
        progress.next_batch()
    pairs = _pairs(machine, order, checkpoint)
    texts = [_text(order, pairs, order.seed + index) for index in range(len(images))]
    info = _info(machine, order, checkpoint, texts)
    wants_grid = values["save_images"] and len(images) > 1
    if wants_grid and machine.options["return_grid"]:
        images.insert(0, grid(images))
        texts.insert(0, texts[0])
        info["index_of_first_image"] = 1
    return Result(images=images, texts=texts, info=info)


async def _sample(machine: Machine, order: Order) -> float:
    """Let the steps of one batch pass and return which share of them was done."""
    progress, faults = machine.progress, machine.stage.faults
    steps: int = order.values["steps"]
    progress.sampling_steps = steps
    turn_s = time.monotonic()
    width, height = (max(1, side // _PREVIEW_PART) for side in order.size)
    for step in range(steps):
        while faults.holds(step + 1) and not progress.stopped:  # noqa: ASYNC110 (no event tells of both)
            await asyncio.sleep(LOOK_S)
        if progress.stopped:
            return step / steps
        progress.sampling_step = step
        if step == steps // 2:
            faults.die_if("middle")
        step_s = faults.now.step_s + faults.now.job_s / steps / order.values["n_iter"]
        if step_s:
            if progress.preview is None:
                small = Brief(prompt=order.values["prompt"], seed=order.seed, width=width, height=height)
                painter = machine.stage.painter
                progress.preview = encode(painter.draw(small), {}, machine.options, painter)
            await asyncio.sleep(step_s)
        elif time.monotonic() > turn_s + _TURN_S:
            # Any number of steps may be asked for; the server answers meanwhile, and can be stopped.
            await asyncio.sleep(0)
            turn_s = time.monotonic()
    return 1.0


def _draw(machine: Machine, order: Order, checkpoint: Checkpoint, seed: int, share: float) -> Image.Image:
    width, height = order.size
    if machine.checkpoints.loaded is None or machine.checkpoints.spoiled:
        return Image.new("RGB", (width, height))
    brief = Brief(
        prompt=order.values["prompt"],
        negative=order.values["negative_prompt"],
        seed=seed,
        width=width,
        height=height,
        checkpoint=checkpoint.name,
    )
    strength = order.values["denoising_strength"]
    drawn = machine.stage.painter.draw(brief, order.given, 0.75 if strength is None else strength)
    return order.inpainted(unfinished(drawn, share) if share < 1 else drawn)


def _pairs(machine: Machine, order: Order, checkpoint: Checkpoint) -> dict[str, Any]:
    values, skip = order.values, machine.options["CLIP_stop_at_last_layers"]
    return {
        "Steps": values["steps"],
        "Sampler": order.sampler,
        "Schedule type": order.schedule,
        "CFG scale": values["cfg_scale"],
        "Seed": order.seed,
        "Size": f"{values['width']}x{values['height']}",
        "Model hash": checkpoint.sha256[:10],
        "Model": checkpoint.model_name,
        "Clip skip": None if skip <= 1 else skip,
        **_extra_parameters(order),
        "Version": infotext.VERSION,
    }


def _text(order: Order, pairs: dict[str, Any], seed: int) -> str:
    return infotext.compose(order.values["prompt"], order.values["negative_prompt"], {**pairs, "Seed": seed})


def _extra_parameters(order: Order) -> dict[str, Any]:
    values = order.values
    extra: dict[str, Any] = {}
    if order.kind == "img2img" or values["enable_hr"]:
        extra["Denoising strength"] = values["denoising_strength"]
    if order.mask is not None:
        extra["Mask blur"] = values["mask_blur_x"] if values["mask_blur"] is None else values["mask_blur"]
    if values.get("enable_hr"):
        extra |= {
            "Hires prompt": values["hr_prompt"] or None,
            "Hires negative prompt": values["hr_negative_prompt"] or None,
            "Hires schedule type": values["hr_scheduler"],
            "Hires upscale": values["hr_scale"],
            "Hires upscaler": values["hr_upscaler"],
        }
    return extra


def _info(machine: Machine, order: Order, checkpoint: Checkpoint, texts: list[str]) -> dict[str, Any]:
    values, count = order.values, order.count
    return {
        "prompt": values["prompt"],
        "all_prompts": [values["prompt"]] * count,
        "negative_prompt": values["negative_prompt"],
        "all_negative_prompts": [values["negative_prompt"]] * count,
        "seed": order.seed,
        "all_seeds": [order.seed + index for index in range(count)],
        "subseed": order.subseed,
        "all_subseeds": [order.subseed + index for index in range(count)],
        "subseed_strength": values["subseed_strength"],
        "width": values["width"],
        "height": values["height"],
        "sampler_name": order.sampler,
        "cfg_scale": values["cfg_scale"],
        "steps": values["steps"],
        "batch_size": values["batch_size"],
        "restore_faces": bool(values["restore_faces"]),
        "face_restoration_model": None,
        "sd_model_name": checkpoint.model_name,
        "sd_model_hash": checkpoint.sha256[:10],
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": values["seed_resize_from_w"],
        "seed_resize_from_h": values["seed_resize_from_h"],
        "denoising_strength": values["denoising_strength"],
        "extra_generation_params": _extra_parameters(order),
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": values["styles"] or [],
        "job_timestamp": machine.progress.job_timestamp,
        "clip_skip": int(machine.options["CLIP_stop_at_last_layers"]),
        "is_using_inpainting_conditioning": False,
        "version": infotext.VERSION,
    }
