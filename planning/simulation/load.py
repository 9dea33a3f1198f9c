"""What is asked of a runtime: when its jobs arrive, and how long each keeps a GPU."""

import math
import random
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

Lengths = float | Sequence[tuple[float, float]]
"""Seconds of GPU a job takes: of all jobs, or several lengths, each with its share of the jobs."""


@dataclass(frozen=True, slots=True)
class Load:
    """Jobs in order of arrival.

    ``times`` are the seconds from the start at which they arrive, ascending; ``seconds`` is what each takes of a GPU.
    ``duration_s`` is how long the load lasts, where quiet follows its last arrival. Raises ValueError for anything
    else.
    """

    times: Sequence[float]
    seconds: Sequence[float]
    duration_s: float = 0.0

    def __post_init__(self) -> None:
        if len(self.times) != len(self.seconds):
            raise ValueError(f"{len(self.times)} arrivals, but {len(self.seconds)} lengths of jobs")
        if not all(0 <= time < math.inf for time in self.times) or any(a > b for a, b in pairwise(self.times)):
            raise ValueError("arrivals are not in ascending order from 0")
        if not all(0 < seconds < math.inf for seconds in self.seconds):
            raise ValueError("a job takes no time, or forever")
        last_s = self.times[-1] if len(self.times) else 0.0
        object.__setattr__(self, "duration_s", max(self.duration_s, last_s))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def work_s(self) -> float:
        """Seconds of GPU that all jobs take together."""
        return math.fsum(self.seconds)

    def then(self, other: "Load", after_s: float = 0.0) -> "Load":
        """This load and another one on top of it, which starts ``after_s`` later."""
        jobs = sorted([*zip(self.times, self.seconds, strict=True), *other._shifted(after_s)])
        return _of(jobs, max(self.duration_s, other.duration_s + after_s))

    def _shifted(self, by_s: float) -> Iterable[tuple[float, float]]:
        return ((time + by_s, seconds) for time, seconds in zip(self.times, self.seconds, strict=True))

    @classmethod
    def burst(cls, jobs: int, lengths: Lengths, *, seed: int = 0) -> "Load":
        """All jobs at once, at second 0."""
        return cls(array("d", bytes(8 * jobs)), _lengths(jobs, lengths, seed))

    @classmethod
    def steady(cls, per_second: float, duration_s: float, lengths: Lengths, *, seed: int = 0) -> "Load":
        """Jobs at even distances, the first at second 0."""
        times = array("d", (number / per_second for number in range(math.ceil(per_second * duration_s))))
        return cls(times, _lengths(len(times), lengths, seed), duration_s)

    @classmethod
    def poisson(cls, per_second: float, duration_s: float, lengths: Lengths, *, seed: int = 0) -> "Load":
        """Jobs that arrive independently of each other, so many a second on average."""
        return cls.curve(lambda _: per_second, duration_s, lengths, highest_per_second=per_second, seed=seed)

    @classmethod
    def curve(
        cls,
        per_second: Callable[[float], float],
        duration_s: float,
        lengths: Lengths,
        *,
        highest_per_second: float,
        seed: int = 0,
    ) -> "Load":
        """Jobs that arrive independently, at a rate that changes: ``per_second(at_s)``, never above the highest.

        Raises ValueError where it is above.
        """
        chance = random.Random(f"arrivals {seed}")  # noqa: S311 - a simulation
        times = array("d")
        at_s = 0.0
        while highest_per_second > 0 and (at_s := at_s + chance.expovariate(highest_per_second)) < duration_s:
            rate = per_second(at_s)
            if rate > highest_per_second:
                raise ValueError(
                    f"{rate:g} jobs a second at {at_s:g} s; the highest was said to be {highest_per_second:g}"
                )
            if chance.random() * highest_per_second < rate:
                times.append(at_s)
        return cls(times, _lengths(len(times), lengths, seed), duration_s)

    @classmethod
    def steps(
        cls, steps: Sequence[tuple[float, float]], duration_s: float, lengths: Lengths, *, seed: int = 0
    ) -> "Load":
        """Jobs that arrive independently, in all as many as the rates make, rounded.

        ``steps`` are the times from which each rate holds, in order from 0, and its jobs a second.
        """
        chance = random.Random(f"arrivals {seed}")  # noqa: S311 - a simulation
        starts, rates = zip(*steps, strict=True)
        ends = (*starts[1:], duration_s)
        sums = [0.0, *accumulate(rate * (end - start) for start, rate, end in zip(starts, rates, ends, strict=True))]
        drawn = sorted(chance.random() * sums[-1] for _ in range(round(sums[-1])))
        times = array("d")
        step = 0
        for place in drawn:
            while place >= sums[step + 1]:
                step += 1
            times.append(starts[step] + (place - sums[step]) / rates[step])
        return cls(times, _lengths(len(times), lengths, seed), duration_s)


def _of(jobs: Sequence[tuple[float, float]], duration_s: float = 0.0) -> Load:
    times, seconds = array("d", (time for time, _ in jobs)), array("d", (seconds for _, seconds in jobs))
    return Load(times, seconds, duration_s)


def _lengths(jobs: int, lengths: Lengths, seed: int) -> "array[float]":
    if isinstance(lengths, int | float):
        return array("d", [lengths]) * jobs
    shares = list(accumulate(share for _, share in lengths))
    chance = random.Random(f"lengths {seed}")  # noqa: S311 - a simulation
    return array("d", (lengths[bisect_right(shares, chance.random() * shares[-1])][0] for _ in range(jobs)))
