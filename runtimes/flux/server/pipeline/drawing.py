"""Draws a batch: denoises it by a public call of the task's diffusers class, then decodes it."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.pipeline.prompts import Prompts
from runtimes.flux.server.pipeline.recipes import Recipe
from runtimes.flux.server.pipeline.steps import StepCallback
from runtimes.flux.server.ports import DrawingWatch, GenerationRequest


def drawn(
    recipe: Recipe,
    pipe: DiffusionPipeline,
    requests: Sequence[GenerationRequest],
    encoded: Sequence[Prompts],
    watch: DrawingWatch,
) -> list[list[Image.Image]]:
    """Denoise and decode requests that share a ``batch_key``; return the pictures of each. ``pipe`` is of their task.

    Raises:
        PipelineStoppedError: All jobs of the batch were cancelled.
    """
    first = requests[0]
    if first.images and first.strength == 0:
        return [[request.images[0]] * len(request.seeds) for request in requests]

    def show(early: torch.Tensor) -> None:
        watch.previewed(_decoded(recipe, pipe, early, first))

    steps = StepCallback(watch, show if first.preview else None)
    denoised = pipe(
        **_arguments(recipe, pipe, requests),
        **_prompts(recipe, requests, encoded),
        output_type="latent",
        callback_on_step_end=steps,
    ).images
    steps.end(pipe)
    latents = iter(denoised.split(1))
    return [[_decoded(recipe, pipe, next(latents), request) for _ in request.seeds] for request in requests]


def _prompts(recipe: Recipe, requests: Sequence[GenerationRequest], encoded: Sequence[Prompts]) -> dict[str, Any]:
    """Join the prompts, each repeated for the pictures of its request."""
    if not recipe.several_prompts:
        return {**encoded[0], "num_images_per_prompt": len(requests[0].seeds)}
    each = [prompts for request, prompts in zip(requests, encoded, strict=True) for _ in request.seeds]
    return {name: torch.cat([prompts[name] for prompts in each]) for name in encoded[0]}


def _arguments(recipe: Recipe, pipe: DiffusionPipeline, requests: Sequence[GenerationRequest]) -> dict[str, Any]:
    """Settings that the class's call accepts; except for seeds, all requests have the same."""
    offered = _settings(requests) | _images(recipe, requests)
    taken = inspect.signature(type(pipe).__call__).parameters
    return {name: value for name, value in offered.items() if name in taken}


def _settings(requests: Sequence[GenerationRequest]) -> dict[str, Any]:
    first = requests[0]
    return {
        "width": first.width,
        "height": first.height,
        "num_inference_steps": first.steps,
        "guidance_scale": first.guidance,
        "true_cfg_scale": first.true_cfg,
        # On the CPU, so that a seed gives the same noise on any device; one each, so that neighbours do not matter.
        "generator": [torch.Generator("cpu").manual_seed(seed) for request in requests for seed in request.seeds],
        # Without these, FLUX Kontext scales picture and image to a megapixel; the request already has the sizes.
        "max_area": first.width * first.height,
        "_auto_resize": False,
    }


def _images(recipe: Recipe, requests: Sequence[GenerationRequest]) -> dict[str, Any]:
    """The input images, repeated for each picture, since each draws noise for them from its own seed."""
    first = requests[0]
    if not first.images:
        return {}
    if not recipe.several_prompts:
        return {"image": list(first.images)}
    owners = [request for request in requests for _ in request.seeds]
    # The smallest strength leaves one step: SDXL's classes round down, and reject zero steps.
    share = 1 / first.steps
    strength = max(first.strength, share if share * first.steps >= 1 else math.nextafter(share, 1))
    given: dict[str, Any] = {"image": [request.images[0] for request in owners], "strength": strength}
    return given | ({"mask_image": [request.mask for request in owners]} if first.mask is not None else {})


def _decoded(recipe: Recipe, pipe: DiffusionPipeline, latents: torch.Tensor, request: GenerationRequest) -> Image.Image:
    """Decode one picture alone, so that it does not depend on its neighbours and takes little memory."""
    _check_finite(latents)  # some autoencoders turn infinite values into black or grey
    ready = recipe.to_autoencoder(pipe, latents, request.height, request.width)
    if pipe.vae.dtype == torch.float16 and pipe.vae.config.get("force_upcast"):
        # SDXL's autoencoder overflows in float16, but its classes leave it in float16 after they encode an image.
        pipe.vae.to(dtype=torch.float32)
    pixels = pipe.vae.decode(ready.to(pipe.vae.dtype), return_dict=False)[0]
    _check_finite(pixels)
    picture = _picture(pixels.view(pixels.shape[1], *pixels.shape[-2:]))
    # Restore what the mask keeps: an autoencoder does not reproduce its input exactly.
    return Image.composite(picture, request.images[0], request.mask) if request.mask else picture


def _check_finite(numbers: torch.Tensor) -> None:
    """Refuse infinite or undefined values, which would become a black picture."""
    if not torch.isfinite(numbers).all():
        raise PipelineRefusedError(
            "the model's numbers overflowed, so there is no picture; take other steps, guidance or LoRA weights"
        )


def _picture(pixels: torch.Tensor) -> Image.Image:
    """Convert values from -1 to 1 to a picture; rounding happens on the device, so that few bytes leave it."""
    values = pixels.float().mul(127.5).add_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    array: Any = values.permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array)
