"""FLUX.1-schnell in its real shape with random weights on a GPU, against what the GPU could do at most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import median

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.flux.programs import STEPS, TOKENS, DrawingWork, ask, running_loop, running_server
from runtimes.flux.standin.full_shape import full_flux

BF16_TFLOPS: Mapping[str, float] = {
    "NVIDIA H200": 989.5,
    "NVIDIA H100 80GB HBM3": 989.5,
    "NVIDIA H100 PCIe": 756.5,
    "NVIDIA L40S": 362.05,
    "NVIDIA A10G": 70,
    "NVIDIA L4": 121,
}
"""10¹² operations a second of dense matrix products in bfloat16, by the name that torch gives a GPU.

From NVIDIA's data sheets, which print the figure with sparsity for most: this is half of it. A part of a GPU (MIG) has
another name, and no row.
"""
SIDES = (512, 1024)
BATCHES = (1, 4, 8)
_RUNS = 3
_PICTURES = 16
_CALLERS = 2
"""One batch is drawn while the other one waits."""


class NoGpuError(Exception):
    """There is no GPU here."""

    def __init__(self) -> None:
        super().__init__("There is no GPU that torch can use here, so nothing was measured; --gpu needs one of 48 GB.")


@dataclass(frozen=True, slots=True)
class RooflineCase:
    """A size and a batch, and the pictures a second of each run."""

    side: int
    batch: int
    loop: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)

    def row(self, picture_tflop: float, peak_tflops: float | None) -> str:
        """One line: medians, and their share of the roofline where the GPU's is known."""
        roof = f"{peak_tflops / picture_tflop:9.3f}" if peak_tflops else f"{'?':>9}"
        shown = ""
        for rate in (median(self.loop), median(self.server)):
            share = f"{rate * picture_tflop / peak_tflops:5.1%}" if peak_tflops else "  ?  "
            shown += f"{rate:9.3f} ({share}) "
        return f"{self.side:>6} {self.batch:>6} {shown}{roof}   {picture_tflop:.1f} TFLOP a picture"


def picture_tflop(side: int) -> float:
    """10¹² operations of a picture: all steps of the denoiser, and the decoder; no weights are made.

    Matrix products and convolutions count, a multiplication and an addition as two. Encoding the prompt is left out.
    """
    pipe = full_flux(torch.device("meta"), torch.bfloat16)
    denoiser, tokens, latent = pipe.transformer, (side // 16) ** 2, side // 8

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(shape, device="meta", dtype=torch.bfloat16)

    # The counter knows no fused attention without a GPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        denoiser(
            hidden_states=empty(1, tokens, denoiser.config.in_channels),
            encoder_hidden_states=empty(1, TOKENS, denoiser.config.joint_attention_dim),
            pooled_projections=empty(1, denoiser.config.pooled_projection_dim),
            timestep=empty(1),
            img_ids=empty(tokens, 3),
            txt_ids=empty(TOKENS, 3),
        )
        step = counter.get_total_flops()
        pipe.vae.decode(empty(1, pipe.vae.config.latent_channels, latent, latent))
        return float(counter.get_total_flops() + (STEPS - 1) * step) / 1e12


def report() -> None:
    """Measure the bare loop, then the server, and print pictures a second beside the roofline.

    One after the other: the weights take 33 GB, which few GPUs have twice.

    Raises:
        NoGpuError: There is none.
        ProgramError: The loop or the server does not start, or a request got no pictures.
    """
    if not torch.cuda.is_available():
        raise NoGpuError
    name = torch.cuda.get_device_name()
    peak = BF16_TFLOPS.get(name)
    print(f"FLUX.1-schnell's shape, random weights, bfloat16, {STEPS} steps, on one {name}", flush=True)
    cases = [RooflineCase(side, batch) for side, batch in product(SIDES, BATCHES)]
    with running_loop(None) as loop:
        loop.wait_until_ready()
        _run(cases, lambda work: float(loop.draw(work)["seconds"]), lambda case: case.loop)
    environment = {"PIPELINE": "runtimes.flux.standin.full_shape:load"}
    with running_server({"profile": "flux-schnell", "maxBatch": max(BATCHES)}, environment) as url:
        _run(cases, lambda work: _asked_s(url, work), lambda case: case.server)
    print(f"{'pixels':>6} {'batch':>6} {'loop: pictures/s':>17} {'server':>17} {'roofline':>9}")
    for case in cases:
        print(case.row(picture_tflop(case.side), peak))


def _asked_s(url: str, work: DrawingWork) -> float:
    answers = ask(url, work, _CALLERS)
    return max(answer.answered for answer in answers) - min(answer.asked for answer in answers)


def _run(
    cases: Sequence[RooflineCase], seconds: Callable[[DrawingWork], float], rates: Callable[[RooflineCase], list[float]]
) -> None:
    """Run each case once unmeasured, then some times."""
    for case in cases:
        seconds(DrawingWork(case.batch, case.side, case.batch))
        work = DrawingWork(_PICTURES, case.side, case.batch)
        rates(case).extend(work.pictures / seconds(work) for _ in range(_RUNS))
