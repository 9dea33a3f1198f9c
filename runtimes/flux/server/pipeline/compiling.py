"""Compilation of the denoiser. Its result is kept in the folder that TORCHINDUCTOR_CACHE_DIR names."""

import torch
from diffusers import DiffusionPipeline

_MAX_VARIANTS = 64
"""Of a block: for one picture and for several, first and following, with other strides. Torch's own limit of 8, once it
is reached, leaves all further ones uncompiled in silence."""


def denoiser_of(pipe: DiffusionPipeline) -> torch.nn.Module:
    """The part that does nearly all of the work."""
    part: torch.nn.Module = pipe.components.get("transformer") or pipe.components["unet"]
    return part


def compile_denoiser(pipe: DiffusionPipeline) -> None:
    """Have the denoiser compiled when it first runs, for all sizes and batches; of the blocks that it repeats, one."""
    torch._dynamo.config.recompile_limit = _MAX_VARIANTS
    denoiser = denoiser_of(pipe)
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks(dynamic=True)
    else:
        denoiser.compile(dynamic=True)
