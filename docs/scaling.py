"""Pods by seconds of work beside pods by the number of tasks, by simulation: ``python -m docs.scaling``."""

import sys
from collections.abc import Iterator, Sequence
from statistics import median

from planning.simulation import Autoscaling, ByWork, Load, Outcome, Setup, simulate
from scaler.policy import Limits

SEEDS = range(5)


def _ramp(per_second: float, duration_s: float, job_s: float) -> Load:
    return Load.curve(lambda at_s: per_second * at_s / duration_s, duration_s, job_s, highest_per_second=per_second)


def _on_and_off(per_second: float, phase_s: float, phases: int, job_s: float) -> Load:
    def rate(at_s: float) -> float:
        return per_second if at_s // phase_s % 2 == 0 else 0.0

    return Load.curve(rate, phase_s * phases, job_s, highest_per_second=per_second)


_BURST = Load.burst(200, 5)
LOADS: dict[str, tuple[Load, float]] = {
    "200 jobs of 5 s at once": (_BURST, 5),
    "40 of 150 s at once": (Load.burst(40, 150), 150),
    "5.6 GPUs' work, evenly, jobs of 5 s, 15 minutes": (Load.steady(1.12, 900, 5), 5),
    "the same, at random": (Load.poisson(1.12, 900, 5), 5),
    "200 of 5 s twice, a minute apart": (_BURST.then(_BURST, 60), 5),
    "200 of 5 s twice, three minutes apart": (_BURST.then(_BURST, 180), 5),
    "200 of 5 s on top of 3 GPUs' work": (Load.poisson(0.6, 1200, 5).then(_BURST, 600), 5),
    "a ramp to 15 GPUs in 15 minutes": (_ramp(3, 900, 5), 5),
    "8 GPUs, a minute on, a minute off": (_on_and_off(1.6, 60, 16, 5), 5),
    "8 GPUs, five minutes on, five off": (_on_and_off(1.6, 300, 6, 5), 5),
    "2,000 of 0.5 s at once": (Load.burst(2000, 0.5), 0.5),
    "8 GPUs, jobs of 0.5 s": (Load.steady(16, 900, 0.5), 0.5),
    "5 GPUs, jobs of 60 s": (Load.poisson(5 / 60, 2400, 60), 60),
    "10 of 600 s at once": (Load.burst(10, 600), 600),
    "6 GPUs, jobs of 1.5 s and 30 s": (Load.poisson(0.8, 1800, [(1.5, 0.8), (30, 0.2)]), 7.2),
    "a job of 5 s each three minutes": (Load.steady(1 / 180, 2000, 5), 5),
    "5 GPUs, jobs of 5 s taken for 50 s": (Load.poisson(1, 1200, 5), 50),
    "5 GPUs, jobs of 5 s taken for 0.5 s": (Load.poisson(1, 1200, 5), 0.5),
}
"""Loads, each with what its jobs are taken for until one has ended."""


def by_work(load: Load, job_s: float, seed: int) -> Outcome:
    """Simulate a load on the chart's defaults with a scaler."""
    scaling = Autoscaling(policy=lambda: ByWork(Limits(), job_s=job_s), has_scaler=True)
    return simulate(load, Setup(scaling=scaling, seed=seed))


def by_tasks(load: Load, seed: int) -> Outcome:
    """Simulate a load on the chart's defaults without one: ten tasks a pod."""
    return simulate(load, Setup(seed=seed))


def _row(name: str, load: Load, sides: Sequence[Sequence[Outcome]]) -> Iterator[str]:
    yield name
    for outcomes in sides:
        yield f"{median(outcome.paid_s for outcome in outcomes) / load.work_s:.2f}"
    for outcomes in sides:
        yield f"{median(outcome.wait_s(95) for outcome in outcomes):.0f} s"


def main() -> int:
    """Print a table: for each load the median of some simulations."""
    lines = [
        "| load | paid a second of work, by tasks | by work | 95 % wait at most, by tasks | by work |",
        "|---|---|---|---|---|",
    ]
    for name, (load, job_s) in LOADS.items():
        sides = [[by_tasks(load, seed) for seed in SEEDS], [by_work(load, job_s, seed) for seed in SEEDS]]
        lines.append(f"| {' | '.join(_row(name, load, sides))} |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
