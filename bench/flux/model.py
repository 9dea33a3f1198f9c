"""A FLUX of random weights whose picture takes nearly a second on one thread of a CPU."""

from pathlib import Path

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel

from runtimes.flux.standin.tiny import TINY, WIDTH

SHAPE = "hidden size 256, 2 double and 3 single blocks, 512 x 512 pixels, 4 steps, float32"

_NAME = "flux-of-the-bench"
_SEED = 20


def make_model(folder: Path) -> Path:
    """Write the model in the format of diffusers.

    The denoiser has less than a thousandth of FLUX.1's parameters; encoders and autoencoder are the tiny models'.

    Args:
        folder: Where its folder is made.

    Returns:
        Its folder.
    """
    torch.manual_seed(_SEED)
    pipe = TINY["flux-schnell"]()
    pipe.register_modules(transformer=_transformer())
    pipe.save_pretrained(folder / _NAME)
    return folder / _NAME


def read_model(folder: Path) -> FluxPipeline:
    """Read it as diffusers does."""
    return FluxPipeline.from_pretrained(folder, dtype=torch.float32)


def _transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=64,
        num_attention_heads=4,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(16, 24, 24),
    )
