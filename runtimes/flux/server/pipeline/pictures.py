"""Pictures from what a denoiser leaves, and what a mask keeps of the image that was given."""

from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from runtimes.flux.server.pipeline.recipes import Recipe
from runtimes.flux.server.ports import Order, RefusedError


def decoded(recipe: Recipe, pipe: DiffusionPipeline, latents: torch.Tensor, order: Order) -> Image.Image:
    """Decode one picture; alone, so that it does not depend on its neighbours and little memory is needed.

    Args:
        recipe: How the model is run.
        pipe: The model.
        latents: Of one picture, with a first dimension of 1.
        order: Its order.

    Raises:
        RefusedError: There is no picture in them.
    """
    _check_finite(latents)  # some autoencoders make black or grey of what is infinite
    ready = recipe.to_autoencoder(pipe, latents, order.height, order.width)
    if pipe.vae.dtype == torch.float16 and pipe.vae.config.get("force_upcast"):
        # SDXL's autoencoder overflows in float16; its classes leave it in that when they have encoded an image.
        pipe.vae.to(dtype=torch.float32)
    pixels = pipe.vae.decode(ready.to(pipe.vae.dtype), return_dict=False)[0]
    _check_finite(pixels)
    return _kept_outside(order, _picture(pixels.view(pixels.shape[1], *pixels.shape[-2:])))


def _check_finite(numbers: torch.Tensor) -> None:
    """Refuse what would become a black picture.

    Raises:
        RefusedError: Numbers overflowed, or were never defined.
    """
    if not torch.isfinite(numbers).all():
        raise RefusedError(
            "the model's numbers overflowed, so there is no picture; take other steps, guidance or LoRA weights"
        )


def _picture(pixels: torch.Tensor) -> Image.Image:
    """Make a picture of numbers from -1 to 1; they are rounded on the device, so that few bytes leave it."""
    values = pixels.float().mul(127.5).add_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    array: Any = values.permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array)


def _kept_outside(order: Order, picture: Image.Image) -> Image.Image:
    """Put what the mask keeps back as it was given: an autoencoder does not give back what it took, bit for bit."""
    if order.mask is None:
        return picture
    return Image.composite(picture, order.images[0], order.mask)
