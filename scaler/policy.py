"""How many pods a runtime should have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

BUCKET_S = 15.0
"""Length of the intervals in which arrivals and work done are counted: the autoscaler's period."""

_HEADROOM = 1.25
"""Pods for each GPU of steady work: what piled up while they booted has to be worked off, too."""
_PEAKS = 2
"""Buckets that a burst fills: it may begin in one and end in the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is known of a runtime's work and pods at one moment.

    Attributes:
        waiting_s: Seconds on a GPU that the jobs take that no pod works on yet.
        running: Number of jobs that pods work on.
        ready: Number of pods that take jobs.
        booting: Number of pods that were ordered and take no jobs yet.
        arrivals_s: Work that arrived in each of the last buckets, the oldest first: seconds on a GPU.
        served_s: Work that was done in each of the same buckets.
        job_s: Seconds on a GPU that a job takes.
        boot_s: Seconds from the order of a pod to its first job.
        devices: Number of jobs that a pod works on in parallel, each on a GPU of its own.
    """

    waiting_s: float
    running: int
    ready: int
    booting: int
    arrivals_s: Sequence[float]
    served_s: Sequence[float]
    job_s: float
    boot_s: float
    devices: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator has set.

    Attributes:
        target_wait_s: Seconds within which pods that have booted should have begun what waits. Less starts more pods.
        min_pods: Number of pods that stay when there is no work.
        max_pods: Maximum number of pods.
    """

    target_wait_s: float = 60
    min_pods: int = 0
    max_pods: int = 20


def wanted_pods(demand: Demand, limits: Limits) -> int:
    """Decide how many pods there should be, those that boot included."""
    rate = steady_rate(demand)
    excess_s = max(demand.waiting_s - _piled_up_s(demand, rate), 0)
    share_s = limits.target_wait_s + demand.boot_s / 2 + 2 * min(demand.job_s, 1.5 * demand.boot_s)
    steady = _HEADROOM * rate
    order = steady + min(excess_s / share_s, excess_s / demand.job_s)
    keep = min(
        steady + min(2 * excess_s / share_s, excess_s / demand.job_s), (demand.ready + demand.booting) * demand.devices
    )
    pods = math.ceil(max(order, keep) / demand.devices - 1e-9)
    has_work = demand.waiting_s > 0 or demand.running > 0
    return min(max(pods, min(demand.running, demand.ready), has_work, limits.min_pods), limits.max_pods)


def steady_rate(demand: Demand) -> float:
    """Estimate the GPUs that work which keeps coming would fill."""
    window = math.ceil(demand.boot_s / BUCKET_S)
    lowest = sorted(demand.arrivals_s[-window:])[: window - _PEAKS]
    missing = window - len(demand.arrivals_s[-window:])
    lowest = lowest[: max(window - _PEAKS - missing, 0)]
    return sum(lowest) / ((window - _PEAKS) * BUCKET_S)


def _piled_up_s(demand: Demand, rate: float) -> float:
    """How much of the waiting work is there only because pods for the steady rate were still booting."""
    piled_up_s = 0.0
    for arrived_s, served_s in zip(demand.arrivals_s, demand.served_s, strict=True):
        piled_up_s = max(piled_up_s + min(arrived_s, rate * BUCKET_S) - served_s, 0)
    return piled_up_s
