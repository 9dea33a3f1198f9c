"""The bare loop in its own process: diffusers' own call, batch after batch.

It saves pictures as the server does.
"""

import time
from functools import cache
from pathlib import Path

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel

from bench.flux.programs import PROMPT, STEPS, TOKENS, DrawingWork
from runtimes.flux.server.images.finishing import Finishing
from runtimes.flux.server.pipeline.loading import keep_libraries_quiet
from runtimes.flux.standin.full_shape import full_flux
from runtimes.flux.standin.tiny import TINY, WIDTH

SHAPE = "hidden size 256, 2 double and 3 single blocks, 512 x 512 pixels, 4 steps, float32"
"""The model from ``make_model``, which takes nearly a second per picture on one CPU thread."""


def make_model(folder: Path) -> Path:
    """Write a FLUX model with random weights and return its folder; except for the denoiser, it is the tiny model."""
    torch.manual_seed(20)
    pipe = TINY["flux-schnell"]()
    transformer = FluxTransformer2DModel(
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=64,
        num_attention_heads=4,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(16, 24, 24),
    )
    pipe.register_modules(transformer=transformer)
    pipe.save_pretrained(folder / "flux-of-the-bench")
    return folder / "flux-of-the-bench"


@cache
def _pipe(folder: Path | None) -> FluxPipeline:
    keep_libraries_quiet()
    if folder:
        pipe = FluxPipeline.from_pretrained(folder, dtype=torch.float32)
    else:
        pipe = full_flux(torch.device("cuda"), torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(folder: Path | None, work: DrawingWork) -> float:
    """Draw with a folder's model, or with FLUX's real shape on a GPU; return the seconds. The first call loads it."""
    pipe = _pipe(folder)
    began = time.monotonic()
    for first in range(0, work.pictures, work.batch):
        pictures = pipe(
            PROMPT,
            width=work.side,
            height=work.side,
            num_inference_steps=STEPS,
            guidance_scale=0.0,
            max_sequence_length=TOKENS,
            num_images_per_prompt=work.batch,
            generator=[torch.Generator("cpu").manual_seed(first + number) for number in range(work.batch)],
        ).images
        for picture in pictures:
            Finishing().apply(picture)
    return time.monotonic() - began
