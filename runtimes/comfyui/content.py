"""A picture as a workflow of ComfyUI: its own example of text to image, with a checkpoint that the servers have."""

import secrets
from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.pictures import MAX_SEED, NotDrawableError, PictureRequest

_LOADER = "CheckpointLoaderSimple"
_SIZE, _STEPS, _GUIDANCE = 512, 20, 7.0


def content_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """The task type and the workflow that draw a picture.

    Raises:
        NotDrawableError: The servers have no checkpoint, or more than a prompt is given.
    """
    if picture.image is not None or picture.format not in {None, "png"}:
        raise NotDrawableError(
            f"Runtime {runtime.name} draws PNG files from a prompt here; send a workflow for anything else."
        )
    checkpoint = _checkpoint(runtime)
    if checkpoint is None:
        raise NotDrawableError(f"No checkpoint of runtime {runtime.name} is known; send a workflow.")
    sampling = {
        "seed": secrets.randbelow(MAX_SEED + 1) if picture.seed is None else picture.seed,
        "steps": picture.steps or _STEPS,
        "cfg": _GUIDANCE if picture.guidance is None else picture.guidance,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    size = {"width": picture.width or _SIZE, "height": picture.height or _SIZE, "batch_size": picture.n}
    graph = {
        "1": _node(_LOADER, ckpt_name=checkpoint),
        "2": _node("CLIPTextEncode", text=picture.prompt, clip=["1", 1]),
        "3": _node("CLIPTextEncode", text=picture.negative_prompt or "", clip=["1", 1]),
        "4": _node("EmptyLatentImage", **size),
        "5": _node("KSampler", model=["1", 0], positive=["2", 0], negative=["3", 0], latent_image=["4", 0], **sampling),
        "6": _node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": _node("SaveImage", images=["6", 0], filename_prefix="picture"),
    }
    return runtime.task_types[0], graph


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def _checkpoint(runtime: DeployedRuntime) -> str | None:
    """The first checkpoint that the servers can load."""
    live = runtime.live()
    loader = None if live is None or live.nodes is None else live.nodes.get(_LOADER)
    declared = None if loader is None else loader.inputs.get("ckpt_name")
    choices = None if live is None or declared is None else live.choices_of(declared)
    return next((str(one) for one in choices or ()), None)
