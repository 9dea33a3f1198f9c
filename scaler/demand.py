"""What is known of a runtime's work, from readings of its queue and its agents' beacons."""

import math
from collections import deque
from dataclasses import dataclass, replace

from scaler.policy import BUCKET_S, Demand, Limits, wanted_pods

DEFAULT_BOOT_S = 100.0
"""What a pod's boot is taken for until one has been seen: a node, its GPU driver, the images, the model."""
_MIN_JOB_S = 0.01
_UNSEEN_JOBS = 8
"""As many arrivals and ends cannot hide from each other in one interval's readings."""
_WAVER_S = 5.0
"""So long the most running jobs count: a count that is too low for a moment must take no pod from one."""
_STILL_S = 30.0
"""For so long the number of jobs stays the same by chance: as many come as end."""
_LONGER = 1.5
"""How long jobs are taken for that have not ended, in what they have taken so far."""
_KEPT = 40
"""Buckets that are kept: ten minutes."""
_GAP_S = 60.0
"""Readings further apart than this say nothing of what happened in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What can be read of a runtime at one moment.

    Attributes:
        at_s: Its time, on any clock that never goes back.
        visible: Number of messages that wait in the runtime's queues.
        in_flight: Number of messages that agents hold: jobs they work on, and those they took in advance.
        ready: Number of agents that take jobs, by their beacons.
        devices: Number of jobs that these run in parallel.
        running: Number of jobs these had not finished when they wrote their beacons.
        job_s: Average seconds that a job takes on a device, by the beacons; None if none has ended.
    """

    at_s: float
    visible: int
    in_flight: int
    ready: int
    devices: int
    running: int
    job_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many pods a runtime should have, and what that follows from."""

    pods: int
    demand: Demand


@dataclass(slots=True)
class _Bucket:
    """An interval.

    Attributes:
        change: By how much the number of jobs has grown.
        moved: Whether that number changed at all, if only in between.
        worked_s: Seconds that devices have worked.
    """

    change: float = 0.0
    moved: bool = False
    worked_s: float = 0.0


class Tracker:
    """Decides from one reading after the other, in the order of their times; it reads no clock and does no I/O.

    One that has just been made knows nothing of the past: what waits then counts as a burst.

    Args:
        job_s: What a job is taken for until the beacons tell.
        boot_s: What a boot is taken for until one has been seen.
    """

    def __init__(self, limits: Limits, *, job_s: float, boot_s: float = DEFAULT_BOOT_S) -> None:
        self._limits = limits
        self._job_s = job_s
        self._knows_jobs = False
        self._unchanged_jobs, self._unchanged_s = 0, 0.0
        self._boot_s = boot_s
        self._buckets: deque[_Bucket] = deque(maxlen=_KEPT)
        self._open = _Bucket()
        self._opened_s = 0.0
        self._opened_jobs = 0
        self._last: Reading | None = None
        self._busy: deque[tuple[float, int]] = deque()
        self._devices = 1
        self._ordered = 0
        self._has_rested = False
        self._first_ordered_s: float | None = None

    def decide(self, reading: Reading) -> Decision:
        """Take note of a reading and say how many pods there should be now."""
        self._count(reading)
        self._time_a_job(reading)
        demand = self._demand(reading)
        pods = wanted_pods(demand, self._limits)
        self._time_a_boot(reading.at_s, demand.ready, pods)
        self._ordered, self._has_rested = pods, pods == 0
        return Decision(pods=pods, demand=demand)

    def _count(self, reading: Reading) -> None:
        """Count jobs and work of the open bucket, and close it after its time."""
        jobs = reading.visible + reading.in_flight
        last, self._last = self._last, reading
        if last is None or reading.at_s - last.at_s > _GAP_S:
            self._buckets.clear()
            self._open = _Bucket()
            self._opened_s, self._opened_jobs = reading.at_s, jobs
            return
        self._open.worked_s += _busy(reading, self._ordered) * (reading.at_s - last.at_s)
        self._open.moved |= jobs != last.visible + last.in_flight
        if (buckets := int((reading.at_s - self._opened_s) / BUCKET_S)) > 0:
            each = replace(
                self._open, change=(jobs - self._opened_jobs) / buckets, worked_s=self._open.worked_s / buckets
            )
            self._buckets.extend([each] * buckets)
            self._open = _Bucket()
            self._opened_s, self._opened_jobs = reading.at_s, jobs

    def _time_a_job(self, reading: Reading) -> None:
        """Learn what a job takes; before the first one has ended, that it takes longer than it was taken for."""
        jobs = reading.visible + reading.in_flight
        if reading.job_s is not None:
            self._job_s, self._knows_jobs = max(reading.job_s, _MIN_JOB_S), True
        elif not reading.in_flight or jobs != self._unchanged_jobs:
            self._unchanged_jobs, self._unchanged_s = jobs, reading.at_s
        elif not self._knows_jobs and (unchanged_s := reading.at_s - self._unchanged_s) > _STILL_S:
            self._job_s = max(self._job_s, _LONGER * unchanged_s)

    def _time_a_boot(self, at_s: float, ready: int, pods: int) -> None:
        """Learn what the first pod's boot takes. One that waited for a node says little: each counts for half of it."""
        if self._first_ordered_s is not None and ready:
            took_s = at_s - self._first_ordered_s
            self._boot_s = (self._boot_s + min(max(took_s, self._boot_s / 2), self._boot_s * 2)) / 2
        if ready or not pods:
            self._first_ordered_s = None
        elif self._has_rested:
            self._first_ordered_s = at_s

    def _demand(self, reading: Reading) -> Demand:
        busy = _busy(reading, self._ordered)
        jobs = reading.visible + reading.in_flight
        if reading.ready:
            self._devices = max(round(reading.devices / reading.ready), 1)
        ready = max(reading.ready, math.ceil(busy / self._devices))
        return Demand(
            waiting_s=(jobs - busy) * self._job_s,
            running=self._running(reading.at_s, busy),
            ready=ready,
            booting=max(self._ordered - ready, 0),
            arrivals_s=self._arrivals_s(),
            served_s=[bucket.worked_s for bucket in self._buckets],
            job_s=self._job_s,
            boot_s=self._boot_s,
            devices=self._devices,
        )

    def _running(self, at_s: float, busy: int) -> int:
        self._busy.append((at_s, busy))
        while self._busy[0][0] < at_s - _WAVER_S:
            self._busy.popleft()
        return max(busy for _, busy in self._busy)

    def _arrivals_s(self) -> list[float]:
        """Estimate the work that arrived in each bucket.

        What makes the queue grow has arrived. More has if devices have done more than the jobs that went, and more than
        what may be in the jobs they work on: then others came in the place of those that ended. Where fewer jobs are
        left than that explains, it is negative: counts that waver add up to nothing.
        """
        arrivals_s, begun_s = [], 0.0
        for bucket in self._buckets:
            arrived_s = max(bucket.change, 0) * self._job_s
            begun_s += bucket.worked_s + min(bucket.change, 0) * self._job_s
            most_s = bucket.worked_s / BUCKET_S * self._job_s
            if begun_s < 0:
                arrived_s += begun_s
            elif self._knows_jobs and (bucket.moved or bucket.worked_s > _UNSEEN_JOBS * self._job_s):
                arrived_s += max(begun_s - most_s, 0)
            begun_s = min(max(begun_s, 0), most_s)
            arrivals_s.append(arrived_s)
        return arrivals_s


def _busy(reading: Reading, ordered: int) -> int:
    """Number of jobs that are being worked on. Beacons of new agents come late; agents that hold two work on one."""
    return min(reading.in_flight, max(reading.devices, min(ordered, math.ceil(reading.in_flight / 2))))
