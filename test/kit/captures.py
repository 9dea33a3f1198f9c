"""Timelines of the chart on a real control plane, a line each 5 s: Kubernetes 1.36.3, KEDA 2.21.0, Karpenter 1.14.1.

Fixed on purpose there: a node appears 30 s after its launch, is ready 12-18 s later, and loses its startup taint after
another 12 s; a pod is ready 40-60 s after its binding; an agent holds two messages and works on one; a job that cannot
end within 95 s of its pod's deletion goes back to the queue.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from planning.simulation import Autoscaling, Depth, Load, Moment, Pods, Setup
from planning.simulation.hpa import DEFAULT_UP

_FOLDER = Path("test/unit/planning/captures")


@dataclass(frozen=True, eq=False)
class Capture:
    """A timeline, the load that gave it, and what is known of it otherwise."""

    name: str
    load: Load
    first_look_s: float
    """When HPA first decided, which its later steps show."""
    first_ready_s: tuple[float, float]
    """The lines between which the first pod became ready."""
    seed: int
    """With it, pods take much the same time to boot as those of the capture did."""

    def setup(self, *, seed: int) -> Setup:
        """The platform of the capture: messages a pod alone, HPA's own rules for more pods, a look each second."""
        scaling = Autoscaling(
            policy=lambda: Depth(queue_length=10, keep_busy=False),
            polling_s=1,
            up=DEFAULT_UP,
            first_look_s=self.first_look_s,
        )
        return Setup(scaling=scaling, pods=PODS, seed=seed)

    @property
    def lines(self) -> list[Moment]:
        """The timeline; nodes were not counted."""
        with (_FOLDER / f"{self.name}.csv").open(encoding="utf-8", newline="") as file:
            return [
                Moment(nodes=0, **{name: int(value) for name, value in row.items()}) for row in csv.DictReader(file)
            ]


PODS = Pods(held=2)
BURST = Capture("burst-200x5s", Load.burst(200, 5), 6.5, (101, 106), 33)
LONG = Capture("long-40x150s", Load.burst(40, 150), 11.2, (107, 112), 6)
RATE = Capture("rate-2-per-s-600x5s", Load.steady(2, 300, 5), 6.5, (110, 115), 0)
CAPTURES = (BURST, LONG, RATE)
