"""How diffusers classes run each family; one row for each class that a model folder can name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from diffusers import (
    DiffusionPipeline,
    FluxFillPipeline,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)

from runtimes.flux.families import EDIT, FAMILIES, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE, Family
from runtimes.flux.server.pipeline import prompts
from runtimes.flux.server.ports import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to run one kind of model."""

    family: Family
    classes: Mapping[str, type[DiffusionPipeline]]
    """The diffusers class of each task type."""
    encode: Callable[[DiffusionPipeline, GenerationRequest], prompts.Prompts]
    """Encodes a request's prompts, for a batch of one."""
    to_autoencoder: Callable[[DiffusionPipeline, torch.Tensor, int, int], torch.Tensor]
    """Turns the denoiser's output into the autoencoder's input."""
    tokenizer: str | None
    """The tokenizer that limits the prompt: with T5 and CLIP, T5, which reads more. None: prompts are read whole."""
    several_prompts: bool = True
    """Whether its classes denoise several prompts at once; otherwise, several pictures of one prompt."""


def _latents_of_flux(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Unpack FLUX's tokens of two by two latents, and scale them."""
    unpacked = pipe._unpack_latents(latents, height, width, pipe.vae_scale_factor)
    return _latents_of_sd3(pipe, unpacked, height, width)


def _latents_of_qwen(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Unpack Qwen-Image's tokens, and scale each channel."""
    unpacked = pipe._unpack_latents(latents, height, width, pipe.vae_scale_factor)
    config = pipe.vae.config
    return unpacked * _per_channel(config.latents_std, unpacked) + _per_channel(config.latents_mean, unpacked)


def _latents_of_sdxl(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:  # noqa: ARG001
    """Scale SDXL's latents; some derived models scale each channel."""
    config = pipe.vae.config
    scaled = latents / config.scaling_factor
    if not (config.get("latents_mean") and config.get("latents_std")):
        return scaled
    return scaled * _per_channel(config.latents_std, latents) + _per_channel(config.latents_mean, latents)


def _latents_of_sd3(pipe: DiffusionPipeline, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:  # noqa: ARG001
    config = pipe.vae.config
    return latents / config.scaling_factor + config.shift_factor


def _per_channel(values: Sequence[float], latents: torch.Tensor) -> torch.Tensor:
    """A tensor with one number per channel, the second dimension."""
    return torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, *[1] * (latents.dim() - 2))


def _drawing(*classes: type[DiffusionPipeline]) -> Mapping[str, type[DiffusionPipeline]]:
    return dict(zip((TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING), classes, strict=True))


_FLUX = Recipe(
    family=FAMILIES["flux"],
    classes=_drawing(FluxPipeline, FluxImg2ImgPipeline, FluxInpaintPipeline),
    encode=prompts.of_flux,
    to_autoencoder=_latents_of_flux,
    tokenizer="tokenizer_2",
)
_FILL = replace(
    _FLUX, family=FAMILIES["flux-fill"], classes={INPAINTING: FluxFillPipeline}, encode=prompts.of_flux_fill
)
_KONTEXT = replace(
    _FLUX, family=FAMILIES["flux-kontext"], classes=dict.fromkeys((EDIT, TEXT_TO_IMAGE), FluxKontextPipeline)
)
_QWEN = Recipe(
    family=FAMILIES["qwen-image-edit"],
    classes={EDIT: QwenImageEditPlusPipeline},
    encode=prompts.of_qwen_edit_plus,
    to_autoencoder=_latents_of_qwen,
    tokenizer=None,
    several_prompts=False,
)
_FIRST_QWEN = replace(_QWEN, classes={EDIT: QwenImageEditPipeline}, encode=prompts.of_qwen_edit)
_SDXL = Recipe(
    family=FAMILIES["sdxl"],
    classes=_drawing(StableDiffusionXLPipeline, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline),
    encode=prompts.of_sdxl,
    to_autoencoder=_latents_of_sdxl,
    tokenizer="tokenizer",
)
_SD3 = Recipe(
    family=FAMILIES["sd3"],
    classes=_drawing(StableDiffusion3Pipeline, StableDiffusion3Img2ImgPipeline, StableDiffusion3InpaintPipeline),
    encode=prompts.of_sd3,
    to_autoencoder=_latents_of_sd3,
    tokenizer="tokenizer_3",
)

RECIPES: Mapping[str, Recipe] = {
    made.__name__: recipe
    for recipe in (_FLUX, _FILL, _KONTEXT, _QWEN, _FIRST_QWEN, _SDXL, _SD3)
    for made in recipe.classes.values()
}
"""By the class name in a model's model_index.json."""
