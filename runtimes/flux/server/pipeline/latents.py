"""What the autoencoder decodes, from what the denoiser leaves; as the diffusers classes do it before they decode."""

from collections.abc import Sequence

import torch
from diffusers import DiffusionPipeline


def of_flux(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Unpack FLUX's tokens, each of two by two latents, and scale them."""
    unpacked = pipe._unpack_latents(latents, height, width, pipe.vae_scale_factor)
    return of_sd3(pipe, unpacked, height, width)


def of_qwen(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Unpack Qwen-Image's tokens, and scale each channel."""
    unpacked = pipe._unpack_latents(latents, height, width, pipe.vae_scale_factor)
    config = pipe.vae.config
    return unpacked * _per_channel(config.latents_std, unpacked) + _per_channel(config.latents_mean, unpacked)


def of_sdxl(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:  # noqa: ARG001
    """Scale SDXL's latents; some of its descendants scale each channel."""
    config = pipe.vae.config
    scaled = latents / config.scaling_factor
    if not (config.get("latents_mean") and config.get("latents_std")):
        return scaled
    return scaled * _per_channel(config.latents_std, latents) + _per_channel(config.latents_mean, latents)


def of_sd3(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:  # noqa: ARG001
    """Scale and shift latents."""
    config = pipe.vae.config
    return latents / config.scaling_factor + config.shift_factor


def _per_channel(values: Sequence[float], latents: torch.Tensor) -> torch.Tensor:
    """One number for each channel, the second dimension."""
    return torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, *[1] * (latents.dim() - 2))
