"""Learns how long things take: jobs by their kind, and a message on its way from the queue to the GPU."""

import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass

_MAX_KINDS = 256
_WEIGHT = 0.3
"""Of the newest observation; the tenth before it counts a thirtieth as much."""


@dataclass(slots=True)
class _Regression:
    """A linear regression with fading weights: seconds = base + slope * units."""

    weight: float = 0.0
    units: float = 0.0
    seconds: float = 0.0
    units_squared: float = 0.0
    product: float = 0.0

    def add(self, units: float, seconds: float) -> None:
        fading = 1 - _WEIGHT
        self.weight = self.weight * fading + 1
        self.units = self.units * fading + units
        self.seconds = self.seconds * fading + seconds
        self.units_squared = self.units_squared * fading + units * units
        self.product = self.product * fading + units * seconds

    def at(self, units: float) -> float:
        mean_units, mean_seconds = self.units / self.weight, self.seconds / self.weight
        variance = self.units_squared / self.weight - mean_units * mean_units
        if variance < 1e-3 * mean_units * mean_units:
            return mean_seconds * units / mean_units  # all had the same number of units
        slope = max(0.0, (self.product / self.weight - mean_units * mean_seconds) / variance)
        return max(0.0, mean_seconds + slope * (units - mean_units))


class JobForecast:
    """How long jobs take: for each kind, so much a job and so much a unit."""

    def __init__(self) -> None:
        self._regressions: OrderedDict[bytes, _Regression] = OrderedDict()

    def predict_s(self, kind: str, units: float) -> float | None:
        """How long a job will take; None for a kind not seen yet, or not recently."""
        line = self._regressions.get(_key(kind))
        return None if line is None else line.at(units)

    def learn(self, kind: str, units: float, seconds: float) -> None:
        """Learn how long a job took; the 256 kinds learned last are kept."""
        key = _key(kind)
        line = self._regressions.setdefault(key, _Regression())
        line.add(units, seconds)
        self._regressions.move_to_end(key)
        if len(self._regressions) > _MAX_KINDS:
            self._regressions.popitem(last=False)


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
