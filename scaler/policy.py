"""How many pods a runtime should have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

BUCKET_S = 15.0
"""Length of the intervals in which arrivals and work done are counted: the autoscaler's period."""

_PEAKS = 2
"""Buckets that a burst may fill: it begins in one and ends in the next."""
_MIN_WINDOW = 4
"""Buckets that tell work that keeps coming from a burst: what has come for a minute will go on."""
_HEADROOM = 1.1
"""Pods for each GPU of steady work: one that is always busy would let the queue grow with every fluctuation."""
_START_BOOTS = 1.5
"""What a pod costs besides its work, in boots: the boot, and the node's time until it is gone again."""
_SHARE_BOOTS = 0.5
"""What slower boots add to each pod's share of a burst, in boots: the dearer a pod is, the more it should do."""
_SHARE_JOBS = 2.1
"""What longer jobs add to it, in jobs: pods that had one each would all be started for that one."""
_KEPT_SHARE = 0.25
"""What must be left of a share for a pod that still boots to stay."""
_SPREAD_BOOTS = 4
"""How many boots later than a burst what piled up during a boot may be done."""
_ROUNDING = 1e-9
_REMEMBERED = 64
"""Flows, of all runtimes, of which rates are remembered: many decisions follow from one."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Work that came and went in the last intervals of BUCKET_S, the oldest first: seconds on a GPU.

    Attributes:
        arrivals_s: What arrived in each. Negative where some is gone that nobody has done: the counts were wrong
            before, or are now.
        served_s: What was done in each.
        lengths_s: How long each was, at least BUCKET_S.
    """

    arrivals_s: Sequence[float] = ()
    served_s: Sequence[float] = ()
    lengths_s: Sequence[float] = ()


class Demand(NamedTuple):
    """What is known of a runtime's work and pods at one moment.

    Attributes:
        waiting_s: Seconds on a GPU that the jobs take that no pod works on yet.
        running: Number of jobs that pods work on.
        ready: Number of pods that take jobs.
        booting: Number of pods that were ordered and take no jobs yet.
        flow: What has arrived and was done.
        job_s: Seconds on a GPU that a job takes; more than 0.
        boot_s: Seconds from the order of a pod to its first job.
        devices: Number of GPUs of a pod, each of which works on a job.
    """

    waiting_s: float
    running: int
    ready: int
    booting: int
    flow: Flow
    job_s: float
    boot_s: float
    devices: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator has set.

    Attributes:
        target_wait_s: Seconds that a burst may wait for pods that have booted. Less starts more pods.
        min_pods: Number of pods that stay when there is no work.
        max_pods: Maximum number of pods.
    """

    target_wait_s: float = 60
    min_pods: int = 0
    max_pods: int = 20


def wanted_pods(demand: Demand, limits: Limits) -> int:
    """Decide how many pods there should be, those that boot included.

    Three kinds of work each want GPUs:

    - Work that keeps coming wants as many as it fills, and a tenth more. Jobs that take longer than another pod would
      cost want at least those that they run on, which do nothing of what waits.
    - What piled up while these booted is not load. It is worked off by a few GPUs more, within some boots.
    - The rest is a burst. What the pods that are ready leave of it during a boot is divided into shares, a GPU each. A
      pod costs about one and a half boots besides its work, so that GPU seconds paid for each second of work are
      1 + 1.5 boots / share, however large the burst is. Two jobs are added to the share, because pods that run one job
      each would all be started for that one. A job that is longer than what a pod costs counts as no more than that:
      it is worth a pod of its own.

    No more are ordered than there are jobs, or will be after a boot. What is to come counts less, the longer jobs take:
    a long job can wait for a boot of its own.

    More pods are ordered for what is certain to come, without the peaks. Those that there are stay for what came on
    average during the last boot, with the peaks, and as long as there is a quarter of a share for each: a pod that
    boots has been paid for. Less than a GPU's work keeps none: KEDA's cooldown keeps the last pod.

    Pods are never fewer than those that work, and with any work at least one.
    """
    waiting_s, running, ready, booting, flow, job_s, boot_s, devices = demand
    steady, mean = _rates(flow, boot_s)
    share_s = limits.target_wait_s + _SHARE_BOOTS * boot_s + _SHARE_JOBS * min(job_s, _START_BOOTS * boot_s)
    taken = running * max(1 - _START_BOOTS * boot_s / job_s, 0)
    order = max(_HEADROOM * steady, taken)
    if waiting_s > 0:
        piled_up_s = min(_piled_up_s(flow, steady), waiting_s)
        free = max(ready * devices - order, 0)
        left_s = max(waiting_s - piled_up_s - free * boot_s, 0)
        order += piled_up_s / (share_s + _SPREAD_BOOTS * boot_s) + left_s / max(share_s, job_s)
    order = min(order, waiting_s / job_s + running + steady * (boot_s / job_s) ** 2)
    has_work = waiting_s > 0 or running > 0
    if not has_work and order < 1:
        order = 0
    kept_s = _KEPT_SHARE * share_s
    used = waiting_s / max(kept_s, job_s) + running * min(job_s / kept_s, 1)
    keep = min(max(_HEADROOM * mean, used), (ready + booting) * devices)
    pods = max(math.ceil(order / devices - _ROUNDING), math.floor(keep / devices + _ROUNDING))
    at_least = max(limits.min_pods, min(running, ready), has_work)
    return min(max(pods, at_least), limits.max_pods)


@lru_cache(maxsize=_REMEMBERED)
def _rates(flow: Flow, boot_s: float) -> tuple[float, float]:
    """Estimate the GPUs that arriving work fills: without the peaks since it began to come, and with them.

    Both look back one boot: that is how far ahead an order looks.
    """
    window = max(math.ceil(boot_s / BUCKET_S), _MIN_WINDOW)
    before = [(0.0, BUCKET_S)] * (window - len(flow.arrivals_s))
    recent = [*before, *zip(flow.arrivals_s[-window:], flow.lengths_s[-window:], strict=True)]
    mean = _rate(recent)
    while len(recent) > _MIN_WINDOW and not recent[0][0]:
        recent.pop(0)
    return _rate(sorted(recent, key=lambda interval: interval[0] / interval[1])[:-_PEAKS]), mean


def _rate(intervals: Sequence[tuple[float, float]]) -> float:
    """The GPUs that what arrived in intervals fills; each has its length."""
    return max(sum(arrived_s for arrived_s, _ in intervals), 0) / sum(length_s for _, length_s in intervals)


@lru_cache(maxsize=_REMEMBERED)
def _piled_up_s(flow: Flow, steady: float) -> float:
    """How long a queue would be of work that came at the steady rate, and was done as it was."""
    if not steady:
        return 0.0
    ahead_s = piled_up_s = 0.0
    for arrived_s, done_s, length_s in zip(flow.arrivals_s, flow.served_s, flow.lengths_s, strict=True):
        came_s, most_s = ahead_s + arrived_s, steady * length_s
        ahead_s = 0.0
        if came_s > most_s:
            came_s, ahead_s = most_s, came_s - most_s
        piled_up_s += came_s - done_s
        if piled_up_s < 0:
            piled_up_s = 0.0
    return piled_up_s
