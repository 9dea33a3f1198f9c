"""A picture in the words that all runtime types share, as a graph of InvokeAI for Stable Diffusion."""

import random
from typing import Any, NamedTuple

from runtimes.catalog import DeployedRuntime
from runtimes.live import InstalledModel
from runtimes.pictures import MAX_SEED, NotDrawableError, PictureRequest

_DEFAULT_STEPS = 30
_DEFAULT_GUIDANCE = 7.0
_DEFAULT_STRENGTH = 0.75
_MULTIPLE = 8


class _Nodes(NamedTuple):
    """The types of nodes for a family of models, and its usual size in pixels."""

    loader: str
    prompt: str
    size: int


_FAMILIES = {
    "sd-1": _Nodes("main_model_loader", "compel", 512),
    "sd-2": _Nodes("main_model_loader", "compel", 768),
    "sdxl": _Nodes("sdxl_model_loader", "sdxl_compel_prompt", 1024),
}
"""Families by the base of their models."""


def content_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """A task that draws a picture with the one Stable Diffusion model that the runtime's servers have.

    Raises:
        NotDrawableError: They have none or several, or the picture asks for what these graphs do not do.
    """
    if picture.mask is not None:
        raise NotDrawableError("InvokeAI inpaints by a graph of its own; send that as a task.")
    if picture.format not in {None, "png"}:
        raise NotDrawableError(f"InvokeAI stores PNG alone, not {picture.format}.")
    model = _model_of(runtime)
    family = _FAMILIES[model.base]
    size = (picture.width or family.size, picture.height or family.size)
    width, height = (max(_MULTIPLE, side // _MULTIPLE * _MULTIPLE) for side in size)
    seed = random.randrange(MAX_SEED + 1) if picture.seed is None else picture.seed  # noqa: S311 (no secret)
    prompts = {"positive": picture.prompt, "negative": picture.negative_prompt or ""}
    nodes: dict[str, Any] = {
        "model": {"type": family.loader, "model": model.model_dump()},
        "noise": {"type": "noise", "seed": seed, "width": width, "height": height},
        "denoise": {
            "type": "denoise_latents",
            "steps": picture.steps or _DEFAULT_STEPS,
            "cfg_scale": _DEFAULT_GUIDANCE if picture.guidance is None else picture.guidance,
        },
        "picture": {"type": "l2i", "is_intermediate": False},
    }
    edges = [
        ("model.unet", "denoise.unet"),
        ("model.vae", "picture.vae"),
        ("noise.noise", "denoise.noise"),
        ("denoise.latents", "picture.latents"),
    ]
    for name, words in prompts.items():
        nodes[name] = {"type": family.prompt, "prompt": words}
        edges += [("model.clip", f"{name}.clip"), (f"{name}.conditioning", f"denoise.{name}_conditioning")]
        if family.prompt == "sdxl_compel_prompt":
            nodes[name] |= {"style": words, "original_width": width, "original_height": height}
            nodes[name] |= {"target_width": width, "target_height": height}
            edges.append(("model.clip2", f"{name}.clip2"))
    if picture.image is not None:
        strength = _DEFAULT_STRENGTH if picture.strength is None else picture.strength
        nodes["denoise"]["denoising_start"] = 1 - strength
        nodes["fitted"] = {"type": "img_resize", "image": {"image_name": picture.image}}
        nodes["fitted"] |= {"width": width, "height": height, "is_intermediate": True}
        nodes["encoded"] = {"type": "i2l"}
        edges += [
            ("fitted.image", "encoded.image"),
            ("model.vae", "encoded.vae"),
            ("encoded.latents", "denoise.latents"),
        ]
    content: dict[str, Any] = {"graph": {"nodes": nodes, "edges": [_edge(*ends) for ends in edges]}}
    if picture.n > 1:
        seeds = [(seed + number) % (MAX_SEED + 1) for number in range(picture.n)]
        content["batch"] = [[{"node_path": "noise", "field_name": "seed", "items": seeds}]]
    return "pipeline", content


def _model_of(runtime: DeployedRuntime) -> InstalledModel:
    live = runtime.live()
    if live is None or live.installed is None:
        raise NotDrawableError(f"What models runtime {runtime.name} has is unknown until its server has run once.")
    models = [one for one in live.installed if one.type == "main" and one.base in _FAMILIES]
    if len(models) == 1:
        return models[0]
    families = ", ".join(_FAMILIES)
    has = f"{len(models)} models" if models else "no model"
    raise NotDrawableError(f"Runtime {runtime.name} has {has} of {families}; send a graph that names the model.")


def _edge(source: str, destination: str) -> dict[str, Any]:
    ends = {"source": source.split("."), "destination": destination.split(".")}
    return {end: {"node_id": node_id, "field": field} for end, (node_id, field) in ends.items()}
