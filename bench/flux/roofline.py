"""Measures FLUX.1-schnell's real shape, with random weights, against the GPU's theoretical maximum."""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import median

import torch

from bench.flux.programs import STEPS, DrawingWork, ask, running_loop, running_server, seconds_of

BF16_TFLOPS: Mapping[str, float] = {
    "NVIDIA H200": 989.5,
    "NVIDIA H100 80GB HBM3": 989.5,
    "NVIDIA H100 PCIe": 756.5,
    "NVIDIA L40S": 362.05,
    "NVIDIA A10G": 70,
    "NVIDIA L4": 121,
}
"""10¹² operations per second of dense matrix products in bfloat16, by torch's name for the GPU; from NVIDIA's data
sheets, most of which print the figure with sparsity, twice as high."""
PICTURE_TFLOP = {512: 73.3, 1024: 288.3}
"""10¹² operations per picture, by side: matrix products and convolutions of four denoiser steps and the decoder, as
torch's FlopCounterMode counts them, without the encoding of the prompt."""
_BATCHES = (1, 4, 8)
_RUNS, _PICTURES = 3, 16
_CALLERS = 2
"""One batch is drawn while the other waits."""


def report() -> None:
    """Measure the bare loop, then the server, and print pictures per second and the roofline.

    Not both at once: the weights take 33 GB, and few GPUs have room for two copies.
    """
    if not torch.cuda.is_available():
        sys.exit("Torch finds no GPU, so nothing was measured; --gpu needs one with 48 GB.")
    name = torch.cuda.get_device_name()
    peak = BF16_TFLOPS.get(name)
    print(f"FLUX.1-schnell's shape, random weights, bfloat16, {STEPS} steps, on one {name}", flush=True)
    with running_loop(None) as draw:
        loop = _rates(draw)
    environment = {"PIPELINE": "runtimes.flux.standin.full_shape:load"}
    with running_server({"profile": "flux-schnell", "maxBatch": max(_BATCHES)}, environment) as url:
        server = _rates(lambda work: seconds_of(ask(url, work, _CALLERS)))
    print(f"{'pixels':>6} {'batch':>6} {'loop: pictures/s':>17} {'server':>17} {'roofline':>9}")
    for side, batch in loop:
        rates = loop[side, batch], server[side, batch]
        print(f"{side:>6} {batch:>6} {row(rates, PICTURE_TFLOP[side], peak)}")


def row(rates: Sequence[float], picture_tflop: float, peak_tflops: float | None) -> str:
    """Pictures per second, and their share of the roofline if the GPU's is known."""
    roof = f"{peak_tflops / picture_tflop:9.3f}" if peak_tflops else f"{'?':>9}"
    shares = (f"{rate * picture_tflop / peak_tflops:5.1%}" if peak_tflops else "  ?  " for rate in rates)
    shown = " ".join(f"{rate:9.3f} ({share})" for rate, share in zip(rates, shares, strict=True))
    return f"{shown} {roof}   {picture_tflop:.1f} TFLOP a picture"


def _rates(seconds: Callable[[DrawingWork], float]) -> dict[tuple[int, int], float]:
    """Pictures per second by size and batch: the median of some runs, after one that is not measured."""
    rates = {}
    for side, batch in product(PICTURE_TFLOP, _BATCHES):
        seconds(DrawingWork(batch, side, batch))
        rates[side, batch] = median(_PICTURES / seconds(DrawingWork(_PICTURES, side, batch)) for _ in range(_RUNS))
    return rates
