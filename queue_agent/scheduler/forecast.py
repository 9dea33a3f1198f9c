"""Learns how long things take: jobs by their kind, and a message on its way from the queue to the GPU."""

import hashlib
from collections import OrderedDict, deque
from statistics import fmean, linear_regression

_MAX_KINDS = 256
_MAX_JOBS = 10
"""Of one kind; older ones say little."""
_MAX_BATCHES = 20
"""Of any kind, whose mean says how long a job keeps a device."""
_WEIGHT = 0.3
"""Of the newest preparation; the tenth before it counts a thirtieth as much."""
_MIN_SPREAD = 0.1
"""Of the units of a kind's jobs: with less, the cost of a unit cannot be told from noise."""


class JobForecast:
    """How long jobs take: for each kind, so much a job and so much a unit."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[bytes, deque[tuple[float, float]]] = OrderedDict()
        self._batches: deque[tuple[float, int]] = deque(maxlen=_MAX_BATCHES)

    @property
    def seconds_a_job(self) -> float | None:
        """How long a job keeps its device, the mean of the recent ones of any kind; None before the first one."""
        seconds, jobs = sum(took_s for took_s, _ in self._batches), sum(jobs for _, jobs in self._batches)
        return seconds / jobs if jobs else None

    def predict_s(self, kind: str, units: float) -> float | None:
        """How long a job will take; None for a kind not seen yet, or not recently."""
        jobs = self._jobs.get(_key(kind))
        if jobs is None:
            return None
        all_units, all_seconds = zip(*jobs, strict=True)
        mean_units, mean_s = fmean(all_units), fmean(all_seconds)
        if max(all_units) - min(all_units) < _MIN_SPREAD * mean_units:
            return mean_s * units / mean_units
        slope = max(0.0, linear_regression(all_units, all_seconds).slope)
        return max(0.0, mean_s + slope * (units - mean_units))

    def learn(self, kind: str, units: float, seconds: float, jobs: int = 1) -> None:
        """Learn how long a job took, or several together; the 256 kinds learned last are kept."""
        self._batches.append((seconds, jobs))
        key = _key(kind)
        self._jobs.setdefault(key, deque(maxlen=_MAX_JOBS)).append((units, seconds))
        self._jobs.move_to_end(key)
        if len(self._jobs) > _MAX_KINDS:
            self._jobs.popitem(last=False)


def _key(kind: str) -> bytes:
    """A kind as it is kept: callers determine parts of it, which may be long."""
    return hashlib.blake2b(kind.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class LeadTime:
    """How long before the running job's end the next message must be received to be ready in time."""

    _MARGIN_S = 0.05
    _SPREAD = 1.5

    def __init__(self) -> None:
        self._receive_s: deque[float] = deque([0.1], maxlen=20)
        self._prepare_s = 0.1

    @property
    def seconds(self) -> float:
        """A usual receive and preparation, half as much again, and a margin."""
        return (min(self._receive_s) + self._prepare_s) * self._SPREAD + self._MARGIN_S

    def received(self, seconds: float) -> None:
        """Note how long a receive took: mostly long polling, so the least of the last 20 stands for the round trip."""
        self._receive_s.append(seconds)

    def prepared(self, seconds: float) -> None:
        """Note how long a message took from its receipt until it could run."""
        self._prepare_s += _WEIGHT * (seconds - self._prepare_s)
