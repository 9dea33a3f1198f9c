"""What came of a simulated load."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple


class Moment(NamedTuple):
    """The platform at one time: a line of the captured timelines."""

    at_s: float
    sent: int
    done: int
    visible: int
    in_flight: int
    wanted: int
    nodes: int
    unscheduled: int
    starting: int
    ready: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Waits in seconds, and GPU seconds: ``paid_s`` is ``boot_s``, ``busy_s`` and ``idle_s`` together."""

    waits: Sequence[float]
    """From each job's arrival to its start, in order of arrival; of one that was interrupted, to its last start. Jobs
    that have not begun by the end of the simulation have none."""
    samples: Sequence[Moment]
    """The platform over time; while nothing exists and nothing waits there are none."""
    first_ready_s: float | None
    """When the first pod took jobs."""
    ends_s: float
    """When the last job had ended."""
    duration_s: float
    """When the simulation had ended: after the load, the last job, and the last node that was not to stay."""
    done: int
    unfinished: int
    node_starts: int
    node_interruptions: int
    """Nodes that Spot took back."""
    interrupted: int
    """Jobs that started over because their pod had to go."""
    paid_s: float
    """From each node's launch to its end."""
    boot_s: float
    """Of nodes and pods that were not ready yet."""
    busy_s: float
    """With jobs, also with those that were interrupted."""
    idle_s: float
    """Of ready pods without a job, and of nodes without a pod."""

    @property
    def mean_wait_s(self) -> float:
        """The mean wait; 0 without jobs."""
        return fmean(self.waits) if self.waits else 0.0

    def wait_s(self, percent: float) -> float:
        """The wait that so many percent of the jobs do not exceed: the nearest rank; 0 without jobs."""
        ordered = sorted(self.waits)
        return ordered[max(0, -(-len(ordered) * percent // 100).__trunc__() - 1)] if ordered else 0.0

    @property
    def paid_per_work(self) -> float:
        """GPU seconds paid for each second of work."""
        return self.paid_s / self.busy_s if self.busy_s else 0.0
