"""The bare loop: ``python -m bench.flux.loop``, diffusers' own call, one batch after the other.

Pictures are saved as the server saves them. Work comes as JSON on standard input, a line each, and is answered
with a line of what was done.
"""

import json
import sys
import time
from pathlib import Path

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel

from bench.flux.programs import PROMPT, STEPS, TOKENS, DrawingWork
from runtimes.flux.requests import Finish
from runtimes.flux.server.images.finishing import Finishing
from runtimes.flux.server.pipeline.loading import keep_libraries_quiet
from runtimes.flux.standin.full_shape import full_flux
from runtimes.flux.standin.tiny import TINY, WIDTH

SHAPE = "hidden size 256, 2 double and 3 single blocks, 512 x 512 pixels, 4 steps, float32"
"""Of the model that ``make_model`` writes: a picture takes nearly a second on one thread of a CPU."""

_SEED = 20
_QUALITY = 95  # a PNG has none


def make_model(folder: Path) -> Path:
    """Write a FLUX of random weights in the format of diffusers, and return its folder.

    The denoiser has less than a thousandth of FLUX.1's parameters; encoders and autoencoder are the tiny models'.
    """
    torch.manual_seed(_SEED)
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


def main() -> None:
    """Draw what standard input says, until it ends, with a folder's model or FLUX's real shape on a GPU."""
    keep_libraries_quiet()
    if len(sys.argv) > 1:
        pipe = FluxPipeline.from_pretrained(sys.argv[1], dtype=torch.float32)
    else:
        pipe = full_flux(torch.device("cuda"), torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    print(json.dumps({"threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_done(pipe, DrawingWork(**json.loads(line)))), flush=True)


def _done(pipe: FluxPipeline, work: DrawingWork) -> dict[str, object]:
    """Do some work; moments are on the monotonic clock, drawing is what happens in diffusers' call."""
    finishing = Finishing(Finish(), "png", _QUALITY)
    drawn = []
    began = time.monotonic()
    for first in range(0, work.pictures, work.batch):
        started = time.monotonic()
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
        drawn.append((started, time.monotonic()))
        for picture in pictures:
            finishing.apply(picture)
    return {"seconds": time.monotonic() - began, "drawn": drawn}


if __name__ == "__main__":
    main()
