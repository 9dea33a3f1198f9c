"""txt2img and img2img: from a request to the answer's pictures and info."""

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
from runtimes.sdwebui.standin.machine import WebuiMachine
from runtimes.sdwebui.standin.pictures import encode, grid
from runtimes.sdwebui.standin.request import WebuiRequest, take_request
from runtimes.standin.faults import LOOK_S
from runtimes.standin.painter import Brief, unfinished

_PREVIEW_PART = 4
_TURN_S = 0.02


@dataclass(kw_only=True)
class WebuiResult:
    """What came out of a request: pictures with their texts, and the values that `info` reports."""

    images: list[Image.Image]
    texts: list[str]
    info: dict[str, Any]


async def generate(machine: WebuiMachine, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run one request when its turn comes and return the answer's body.

    Raises:
        RefusedError, BrokenError, InjectedError: As the real server or the faults in force would have it.
    """
    async with machine.job(f"scripts_{kind}", values["force_task_id"]):
        request = take_request(kind, values)
        stored = machine.options.stored(list(request.overrides))
        try:
            _override(machine, request)
            result = await _run(machine, request)
        finally:
            if values["override_settings_restore_afterwards"]:
                for key, value in stored.items():
                    machine.options.set(key, value)
        # The real server encodes after it gave the options back, so an overridden samples_format is lost. It does so
        # before it answers, and no client can give the GPU its next job any sooner: it is part of this one.
        images = await asyncio.to_thread(_encoded, machine, request, result) if values["send_images"] else []
    return {"images": images, "parameters": _parameters(values), "info": json.dumps(result.info, ensure_ascii=False)}


def _encoded(machine: WebuiMachine, request: WebuiRequest, result: WebuiResult) -> list[str]:
    # The extension puts its animations in the place of all pictures, and leaves the index of the first as it was.
    return animate(request, result.images[result.info["index_of_first_image"] :]) or [
        encode(image, {"parameters": text}, machine.options, machine.stage.painter)
        for image, text in zip(result.images, result.texts, strict=True)
    ]


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    hidden = {} if values.get("include_init_images", True) else {"init_images": None, "mask": None}
    return {**values, **hidden}


def _override(machine: WebuiMachine, request: WebuiRequest) -> None:
    if machine.checkpoints.find(request.overrides.get("sd_model_checkpoint")) is None:
        request.overrides.pop("sd_model_checkpoint", None)
    for key, value in request.overrides.items():
        machine.options.set(key, value)
    loaded = machine.checkpoints.loaded
    wanted = machine.checkpoints.find(machine.options["sd_model_checkpoint"])
    if loaded is None or (wanted is not None and wanted is not loaded):
        machine.load_checkpoint()
    values = request.values
    if values["refiner_checkpoint"] not in (None, "", "None", "none") and values["refiner_switch_at"]:
        _require_checkpoint(machine, values["refiner_checkpoint"])
    if values.get("enable_hr"):
        upscaler = values["hr_upscaler"]
        if upscaler is not None and all(one["name"] != upscaler for one in catalog()["latent_upscale_modes"]):
            require_upscaler(upscaler, "Exception")
        if values["hr_checkpoint_name"] not in (None, "", "Use same checkpoint"):
            _require_checkpoint(machine, values["hr_checkpoint_name"])


def _require_checkpoint(machine: WebuiMachine, name: str) -> None:
    if machine.checkpoints.find(name) is None:
        raise BrokenError("Exception", f"Could not find checkpoint with name {name}")


async def _run(machine: WebuiMachine, request: WebuiRequest) -> WebuiResult:
    progress, values = machine.progress, request.values
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
        share = await _sample(machine, request)
        first = request.seed + batch * values["batch_size"]
        seeds = range(first, first + values["batch_size"])
        images += [await asyncio.to_thread(_draw, machine, request, checkpoint, seed, share) for seed in seeds]
        progress.next_batch()
    pairs = _pairs(machine, request, checkpoint)
    texts = [_text(request, pairs, request.seed + index) for index in range(len(images))]
    info = _info(machine, request, checkpoint, texts)
    wants_grid = values["save_images"] and len(images) > 1
    if wants_grid and machine.options["return_grid"]:
        images.insert(0, grid(images))
        texts.insert(0, texts[0])
        info["index_of_first_image"] = 1
    return WebuiResult(images=images, texts=texts, info=info)


async def _sample(machine: WebuiMachine, request: WebuiRequest) -> float:
    """Let the steps of one batch pass and return which share of them was done."""
    progress, faults = machine.progress, machine.stage.faults
    steps: int = request.values["steps"]
    progress.sampling_steps = steps
    turn_s = time.monotonic()
    width, height = (max(1, side // _PREVIEW_PART) for side in request.size)
    for step in range(steps):
        while faults.holds(step + 1) and not progress.stopped:  # noqa: ASYNC110 (there is no event for both)
            await asyncio.sleep(LOOK_S)
        if progress.stopped:
            return step / steps
        progress.sampling_step = step
        step_s = faults.now.step_s + faults.now.job_s / steps / request.values["n_iter"]
        if step_s:
            if progress.preview is None:
                small = Brief(prompt=request.values["prompt"], seed=request.seed, width=width, height=height)
                painter = machine.stage.painter
                progress.preview = encode(painter.draw(small), {}, machine.options, painter)
            await asyncio.sleep(step_s)
        elif time.monotonic() > turn_s + _TURN_S:
            # Any number of steps may be asked for; the server answers meanwhile, and can be stopped.
            await asyncio.sleep(0)
            turn_s = time.monotonic()
    return 1.0


def _draw(machine: WebuiMachine, request: WebuiRequest, checkpoint: Checkpoint, seed: int, share: float) -> Image.Image:
    width, height = request.size
    if machine.checkpoints.loaded is None or machine.checkpoints.spoiled:
        return Image.new("RGB", (width, height))
    brief = Brief(
        prompt=request.values["prompt"],
        negative=request.values["negative_prompt"],
        seed=seed,
        width=width,
        height=height,
        checkpoint=checkpoint.name,
    )
    strength = request.values["denoising_strength"]
    drawn = machine.stage.painter.draw(brief, request.given, 0.75 if strength is None else strength)
    return request.inpainted(unfinished(drawn, share) if share < 1 else drawn)


def _pairs(machine: WebuiMachine, request: WebuiRequest, checkpoint: Checkpoint) -> dict[str, Any]:
    values, skip = request.values, machine.options["CLIP_stop_at_last_layers"]
    return {
        "Steps": values["steps"],
        "Sampler": request.sampler,
        "Schedule type": request.schedule,
        "CFG scale": values["cfg_scale"],
        "Seed": request.seed,
        "Size": f"{values['width']}x{values['height']}",
        "Model hash": checkpoint.sha256[:10],
        "Model": checkpoint.model_name,
        "Clip skip": None if skip <= 1 else skip,
        **_extra_parameters(request),
        "Version": infotext.VERSION,
    }


def _text(request: WebuiRequest, pairs: dict[str, Any], seed: int) -> str:
    return infotext.compose(request.values["prompt"], request.values["negative_prompt"], {**pairs, "Seed": seed})


def _extra_parameters(request: WebuiRequest) -> dict[str, Any]:
    values = request.values
    extra: dict[str, Any] = {}
    if request.kind == "img2img" or values["enable_hr"]:
        extra["Denoising strength"] = values["denoising_strength"]
    if request.mask is not None:
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


def _info(machine: WebuiMachine, request: WebuiRequest, checkpoint: Checkpoint, texts: list[str]) -> dict[str, Any]:
    """The values that `info` reports, in the real server's order: those of the body, and what was made of them."""
    values, count = request.values, request.count
    known: dict[str, Any] = {
        **values,
        "all_prompts": [values["prompt"]] * count,
        "all_negative_prompts": [values["negative_prompt"]] * count,
        "seed": request.seed,
        "all_seeds": [request.seed + index for index in range(count)],
        "subseed": request.subseed,
        "all_subseeds": [request.subseed + index for index in range(count)],
        "sampler_name": request.sampler,
        "restore_faces": bool(values["restore_faces"]),
        "sd_model_name": checkpoint.model_name,
        "sd_model_hash": checkpoint.sha256[:10],
        "extra_generation_params": _extra_parameters(request),
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": values["styles"] or [],
        "job_timestamp": machine.progress.job_timestamp,
        "clip_skip": int(machine.options["CLIP_stop_at_last_layers"]),
        "is_using_inpainting_conditioning": False,
        "version": infotext.VERSION,
    }
    return {key: known.get(key) for key in catalog()["info_keys"]}
