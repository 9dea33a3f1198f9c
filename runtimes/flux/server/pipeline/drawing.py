"""Denoising of a batch by the public call of the diffusers class for its task."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from runtimes.flux.server.pipeline.pictures import decoded
from runtimes.flux.server.pipeline.preview import Preview
from runtimes.flux.server.pipeline.prompts import Prompts
from runtimes.flux.server.pipeline.recipes import Recipe
from runtimes.flux.server.pipeline.steps import Steps
from runtimes.flux.server.ports import Order, Watch


def drawn(
    recipe: Recipe, pipe: DiffusionPipeline, orders: Sequence[Order], encoded: Sequence[Prompts], watch: Watch
) -> list[list[Image.Image]]:
    """Denoise and decode a batch.

    Args:
        recipe: How the model is run.
        pipe: The class for the orders' task, with the model's parts.
        orders: Orders of one ``batch_key``.
        encoded: The prompts of each.
        watch: What is told and asked.

    Returns:
        The pictures of each order.

    Raises:
        StoppedError: Nobody wants the batch any more.
    """
    first = orders[0]
    if first.images and first.strength == 0:
        return [[order.images[0]] * len(order.seeds) for order in orders]
    preview = Preview(lambda early: watch.previewed(decoded(recipe, pipe, early, first))) if first.preview else None
    steps = Steps(watch, preview)
    denoised = pipe(
        **_arguments(recipe, pipe, orders),
        **_prompts(recipe, orders, encoded),
        output_type="latent",
        callback_on_step_end=steps,
    ).images
    steps.end(pipe)
    pictures = iter(
        [decoded(recipe, pipe, denoised[at : at + 1], order) for at, order in enumerate(_once_a_picture(orders))]
    )
    return [[next(pictures) for _ in order.seeds] for order in orders]


def _once_a_picture(orders: Sequence[Order]) -> list[Order]:
    return [order for order in orders for _ in order.seeds]


def _prompts(recipe: Recipe, orders: Sequence[Order], encoded: Sequence[Prompts]) -> dict[str, Any]:
    """Join the prompts, each as often as its order has pictures."""
    if not recipe.several_prompts:
        return {**encoded[0], "num_images_per_prompt": len(orders[0].seeds)}
    each = [prompts for order, prompts in zip(orders, encoded, strict=True) for _ in order.seeds]
    return {name: torch.cat([prompts[name] for prompts in each]) for name in encoded[0]}


def _arguments(recipe: Recipe, pipe: DiffusionPipeline, orders: Sequence[Order]) -> dict[str, Any]:
    """What the class's call takes of the orders' settings, which are the same for all but for seeds."""
    offered = _settings(orders) | _images(recipe, orders)
    taken = inspect.signature(type(pipe).__call__).parameters
    return {name: value for name, value in offered.items() if name in taken}


def _settings(orders: Sequence[Order]) -> dict[str, Any]:
    first = orders[0]
    return {
        "width": first.width,
        "height": first.height,
        "num_inference_steps": first.steps,
        "guidance_scale": first.guidance,
        "true_cfg_scale": first.true_cfg,
        # On the CPU, so that a seed gives the same noise on any device; one each, so that neighbours do not matter.
        "generator": [torch.Generator("cpu").manual_seed(seed) for order in orders for seed in order.seeds],
        # FLUX Kontext else scales picture and image to a megapixel; the order has their sizes.
        "max_area": first.width * first.height,
        "_auto_resize": False,
    }


def _images(recipe: Recipe, orders: Sequence[Order]) -> dict[str, Any]:
    """The given images, once for each picture: each takes what is random in them from its own seed."""
    first = orders[0]
    if not first.images:
        return {}
    if not recipe.several_prompts:
        return {"image": list(first.images)}
    owners = _once_a_picture(orders)
    strength = max(first.strength, _strength_of_one_step(first.steps))
    given: dict[str, Any] = {"image": [order.images[0] for order in owners], "strength": strength}
    return given | ({"mask_image": [order.mask for order in owners]} if first.mask is not None else {})


def _strength_of_one_step(steps: int) -> float:
    """The least strength that leaves a step: SDXL's classes round down, and refuse to take none."""
    share = 1 / steps
    return share if share * steps >= 1 else math.nextafter(share, 1)
