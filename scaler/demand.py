"""What is known of a runtime's work, from readings of its queue and its agents' beacons."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from scaler.policy import BUCKET_S, Demand, Flow, Limits, wanted_pods

DEFAULT_BOOT_S = 100.0
"""What a pod's boot is taken for until one has been seen: a node, its GPU driver, the images, the model."""
_MIN_JOB_S = 0.01
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


class Reading(NamedTuple):
    """What can be read of a runtime at one moment.

    Attributes:
        at_s: Its time, on any clock that never goes back.
        visible: Number of messages that wait in the runtime's queues.
        in_flight: Number of messages that agents hold: jobs they work on, and those they took in advance.
        ready: Number of agents that take jobs, by their beacons.
        devices: Number of jobs that these run in parallel.
        job_s: Average seconds that a job takes on a device, by the beacons; None if none has ended.
    """

    at_s: float
    visible: int
    in_flight: int
    ready: int
    devices: int
    job_s: float | None


class Decision(NamedTuple):
    """How many pods a runtime should have, and what that follows from."""

    pods: int
    demand: Demand


@dataclass(slots=True)
class _Bucket:
    """An interval that is over.

    Attributes:
        change: By how much the number of jobs has grown.
        moved: Whether that number changed at all, if only in between.
        length_s: Its length: it ends with the first reading after BUCKET_S.
        worked_s: Seconds that devices have worked.
        arrived_s: The work that arrived, as far as can be told.
        begun_s: What devices had done at its end of the jobs they worked on.
    """

    change: float
    moved: bool
    length_s: float
    worked_s: float
    arrived_s: float = 0.0
    begun_s: float = -1.0


class Tracker:
    """Decides from one reading after the other, in the order of their times; it reads no clock and does no I/O.

    One that has just been made knows nothing of the past: what waits then counts as a burst.

    Args:
        job_s: What a job is taken for until the beacons tell.
        boot_s: What a boot is taken for until one has been seen.
        devices: What a pod is taken for until one has reported.
    """

    def __init__(self, limits: Limits, *, job_s: float, boot_s: float = DEFAULT_BOOT_S, devices: int = 1) -> None:
        self._limits = limits
        self._job_s = job_s
        self._knows_jobs = False
        self._unchanged_jobs, self._unchanged_s = 0, 0.0
        self._boot_s = boot_s
        self._buckets: deque[_Bucket] = deque(maxlen=_KEPT)
        self._opened_s, self._opened_jobs = 0.0, 0
        self._moved, self._worked_s = False, 0.0
        self._last_s, self._last_jobs = -math.inf, 0
        self._busy: deque[tuple[float, int]] = deque()
        """Recent numbers of running jobs, each with its time, without those that a later one reaches."""
        self._devices = devices
        self._ordered = 0
        self._has_rested = False
        self._first_ordered_s: float | None = None
        self._is_news, self._known = False, 0
        """Whether anything was learned since the last decision, and the number of buckets whose work holds."""
        self._flow = Flow()
        self._decisions: dict[tuple[int, ...], Decision] = {}
        """Those that were made since the last bucket was closed, or anything was learned; by what they follow from."""

    def decide(self, reading: Reading) -> Decision:
        """Take note of a reading and say how many pods there should be now."""
        at_s, visible, in_flight, ready, devices, job_s = reading
        jobs = visible + in_flight
        # Beacons of new agents come late; agents that hold two messages work on one.
        busy = in_flight
        if in_flight > devices:
            busy = min(in_flight, max(devices, min(self._ordered, -(-in_flight // 2))))
        self._count(at_s, jobs, busy)
        if not self._knows_jobs or job_s != self._job_s:
            self._time_a_job(at_s, jobs, in_flight, job_s)
        if self._is_news:
            self._learn()
        if ready and devices != ready * self._devices:
            self._devices = max(round(devices / ready), 1)
        if busy > ready * self._devices:
            ready = math.ceil(busy / self._devices)
        booting = max(self._ordered - ready, 0)
        seen = (jobs - busy, self._running(at_s, busy), ready, booting, self._devices)
        decision = self._decisions.get(seen)
        if decision is None:
            decision = self._decisions[seen] = self._decide(*seen)
        pods = decision.pods
        if not ready or self._first_ordered_s is not None:
            self._time_a_boot(at_s, ready, pods)
        self._ordered, self._has_rested = pods, pods == 0
        return decision

    def _decide(self, waiting: int, running: int, ready: int, booting: int, devices: int) -> Decision:
        waiting_s = waiting * self._job_s
        demand = Demand(waiting_s, running, ready, booting, self._flow, self._job_s, self._boot_s, devices)
        return Decision(wanted_pods(demand, self._limits), demand)

    def _count(self, at_s: float, jobs: int, busy: int) -> None:
        """Count jobs and work of the open bucket, and close it after its time."""
        passed_s = at_s - self._last_s
        has_moved = jobs != self._last_jobs
        self._last_s, self._last_jobs = at_s, jobs
        if passed_s > _GAP_S:
            self._buckets.clear()
            buckets = 0
        else:
            self._worked_s += busy * passed_s
            self._moved |= has_moved
            buckets = int((at_s - self._opened_s) / BUCKET_S)
            if not buckets:
                return
            change = (jobs - self._opened_jobs) / buckets
            length_s, worked_s = (at_s - self._opened_s) / buckets, self._worked_s / buckets
            self._buckets.extend(_Bucket(change, self._moved, length_s, worked_s) for _ in range(buckets))
        self._opened_s, self._opened_jobs = at_s, jobs
        self._moved, self._worked_s = False, 0.0
        self._is_news, self._known = True, len(self._buckets) - buckets

    def _time_a_job(self, at_s: float, jobs: int, in_flight: int, job_s: float | None) -> None:
        """Learn what a job takes; before the first one has ended, that it takes longer than it was taken for."""
        before = self._job_s, self._knows_jobs
        if job_s is not None:
            self._job_s, self._knows_jobs = max(job_s, _MIN_JOB_S), True
        elif not in_flight or jobs != self._unchanged_jobs:
            self._unchanged_jobs, self._unchanged_s = jobs, at_s
        elif not self._knows_jobs and (unchanged_s := at_s - self._unchanged_s) > _STILL_S:
            self._job_s = max(self._job_s, _LONGER * unchanged_s)
        if (self._job_s, self._knows_jobs) != before:
            self._is_news, self._known = True, 0

    def _time_a_boot(self, at_s: float, ready: int, pods: int) -> None:
        """Learn what the first pod's boot takes. One that waited for a node says little: each counts for half of it."""
        if self._first_ordered_s is not None and ready:
            took_s = at_s - self._first_ordered_s
            self._boot_s = (self._boot_s + min(max(took_s, self._boot_s / 2), self._boot_s * 2)) / 2
            self._decisions.clear()
        if ready or not pods:
            self._first_ordered_s = None
        elif self._has_rested:
            self._first_ordered_s = at_s

    def _running(self, at_s: float, busy: int) -> int:
        """The most that ran within a few seconds."""
        recent = self._busy
        while recent and recent[-1][1] <= busy:
            recent.pop()
        recent.append((at_s, busy))
        while recent[0][0] < at_s - _WAVER_S:
            recent.popleft()
        return recent[0][1]

    def _learn(self) -> None:
        """Work out what the next decisions have in common."""
        buckets = self._buckets
        _follow(buckets, self._job_s, self._known, knows_jobs=self._knows_jobs)
        self._flow = Flow(
            [bucket.arrived_s for bucket in buckets],
            [bucket.worked_s for bucket in buckets],
            [bucket.length_s for bucket in buckets],
        )
        self._is_news = False
        self._decisions.clear()


def _follow(buckets: Iterable[_Bucket], job_s: float, known: int, *, knows_jobs: bool) -> None:
    """Estimate the work that arrived in each bucket; the first ``known`` have been followed, with jobs as long as now.

    What makes the queue grow has arrived. More has if devices have done more than the jobs that went, and more than
    what may be in the jobs they work on: then others came in the place of those that ended. While the number of
    jobs stays the same, however, devices work on long ones. Where fewer jobs are left than that explains, it is
    negative: counts that waver add up to nothing.
    """
    # One loop: simulations of a month go through it for each report that tells another length of jobs.
    begun_s, is_known = 0.0, False
    for number, bucket in enumerate(buckets):
        if is_known and number < known:
            begun_s = bucket.begun_s
            continue
        worked_s, arrived_s = bucket.worked_s, 0.0
        grown_s = bucket.change * job_s
        if grown_s < 0:
            begun_s += worked_s + grown_s
        else:
            arrived_s = grown_s
            begun_s += worked_s
        most_s = worked_s / bucket.length_s * job_s
        if begun_s < 0:
            arrived_s += begun_s
            begun_s = 0.0
        elif begun_s > most_s:
            if knows_jobs and bucket.moved:
                arrived_s += begun_s - most_s
            begun_s = most_s
        is_known = begun_s == bucket.begun_s  # so will be those after it
        bucket.arrived_s, bucket.begun_s = arrived_s, begun_s
