"""FLUX.1-schnell in its real shape with random weights on a GPU, against what the GPU could do at most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import median

import torch

from bench.flux.callers import ask
from bench.flux.flops import Shape
from bench.flux.peaks import BF16_TFLOPS
from bench.flux.programs import running_loop, running_server
from bench.flux.report import keep
from bench.flux.work import STEPS, TOKENS, Work
from runtimes.flux.standin.full_shape import full_flux

SIDES = (512, 1024)
BATCHES = (1, 4, 8)
_RUNS = 3
_PICTURES = 16
_CALLERS = 2
"""One batch is drawn while the other one waits."""
_TERA = 1e12


class NoGpuError(Exception):
    """There is no GPU here."""

    def __init__(self) -> None:
        super().__init__("There is no GPU that torch can use here, so nothing was measured; --gpu needs one of 48 GB.")


@dataclass(frozen=True, slots=True)
class Case:
    """A size and a batch, and the pictures a second of each run."""

    side: int
    batch: int
    loop: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)

    def row(self, picture_tflop: float, peak_tflops: float | None) -> str:
        """One line: medians, and their share of the roofline where the GPU's is known."""
        rates = [median(self.loop), median(self.server)]
        shown = " ".join(f"{rate:9.3f}" + _share(rate * picture_tflop, peak_tflops) for rate in rates)
        roof = f"{peak_tflops / picture_tflop:9.3f}" if peak_tflops else f"{'?':>9}"
        return f"{self.side:>6} {self.batch:>6} {shown} {roof}   {picture_tflop:.1f} TFLOP a picture"


def _share(tflops: float, peak_tflops: float | None) -> str:
    return f" ({tflops / peak_tflops:5.1%})" if peak_tflops else " (  ?  )"


def report() -> None:
    """Measure the bare loop, then the server, and print pictures a second beside the roofline.

    One after the other: the weights take 33 GB, which few GPUs have twice.

    Raises:
        NoGpuError: There is none.
        ProgramError: The loop or the server does not start.
        CallError: A request got no pictures.
    """
    if not torch.cuda.is_available():
        raise NoGpuError
    name = torch.cuda.get_device_name()
    peak = BF16_TFLOPS.get(name)
    print(f"FLUX.1-schnell's shape, random weights, bfloat16, {STEPS} steps, on one {name}", flush=True)
    cases = [Case(side, batch) for side, batch in product(SIDES, BATCHES)]
    _measure(cases)
    shape = real_shape()
    print(f"{'pixels':>6} {'batch':>6} {'loop: pictures/s':>17} {'server':>17} {'roofline':>9}")
    for case in cases:
        print(case.row(shape.picture(case.side, STEPS, TOKENS) / _TERA, peak))
    found = [{"side": case.side, "batch": case.batch, "loop": case.loop, "server": case.server} for case in cases]
    keep("flux-gpu.json", {"gpu": name, "peak_bf16_tflops": peak, "pictures_per_s": found})


def real_shape() -> Shape:
    """FLUX.1-schnell's; no weights are made."""
    pipe = full_flux(torch.device("meta"), torch.bfloat16)
    return Shape.of(pipe.transformer.config, pipe.vae.config)


def _measure(cases: Sequence[Case]) -> None:
    with running_loop(None) as loop:
        loop.wait_until_ready()
        _run(cases, lambda work: loop.draw(work).seconds, lambda case: case.loop)
    options = {"profile": "flux-schnell", "maxBatch": max(BATCHES)}
    environment = {"PIPELINE": "runtimes.flux.standin.full_shape:load"}
    with running_server(options, environment) as port:
        _run(cases, lambda work: _asked_s(port, work), lambda case: case.server)


def _asked_s(port: int, work: Work) -> float:
    answers = ask(port, work, _CALLERS)
    return max(answer.answered for answer in answers) - min(answer.asked for answer in answers)


def _run(cases: Sequence[Case], seconds: Callable[[Work], float], rates: Callable[[Case], list[float]]) -> None:
    """Run each case once unmeasured, then some times."""
    for case in cases:
        seconds(Work(case.batch, case.side, case.batch))
        work = Work(_PICTURES, case.side, case.batch)
        rates(case).extend(work.pictures / seconds(work) for _ in range(_RUNS))
