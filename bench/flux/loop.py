"""The bare loop: ``python -m bench.flux.loop``, diffusers' own call, one batch after the other.

Pictures are saved as the server saves them. Work comes as JSON on standard input, a line each, and is answered
with a line of what was done.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from diffusers import FluxPipeline

from bench.flux.model import read_model
from bench.flux.work import PROMPT, STEPS, TOKENS, Work
from runtimes.flux.requests import Finish
from runtimes.flux.server.images.finishing import Finishing
from runtimes.flux.server.pipeline.loading import keep_libraries_quiet
from runtimes.flux.standin.full_shape import full_flux

_QUALITY = 95  # a PNG has none


def main() -> None:
    """Draw what standard input says, until it ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.flux.loop", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="the model's; without one, FLUX's real shape on a GPU")
    folder = parser.parse_args().folder
    keep_libraries_quiet()
    pipe = read_model(folder) if folder else full_flux(torch.device("cuda"), torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    print(json.dumps({"threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_done(pipe, Work(**json.loads(line)))), flush=True)


def _done(pipe: FluxPipeline, work: Work) -> dict[str, object]:
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
