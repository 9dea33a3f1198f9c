"""Tasks that come at random, and how long they would wait if one queue knew of every free GPU at once."""

import heapq
from collections.abc import Sequence
from random import Random


def poisson_arrivals_s(count: int, *, rate: float, seed: int) -> list[float]:
    """Moments of arrival in seconds from the start, ``rate`` a second on average."""
    chance, now = Random(seed), 0.0
    return [now := now + chance.expovariate(rate) for _ in range(count)]


def ideal_waits_s(arrivals_s: Sequence[float], durations_s: Sequence[float], servers: int) -> list[float]:
    """How long each task waits in an ideal central queue: first come, first served, by whichever server is free.

    Args:
        arrivals_s: When each task comes, in ascending order.
        durations_s: How long each one runs.
        servers: How many there are; all are free at first.

    Raises:
        ValueError: The arrivals are not in order, or not as many as the durations.
    """
    if list(arrivals_s) != sorted(arrivals_s):
        raise ValueError("the arrivals are not in order")
    free_at = [float("-inf")] * servers
    waits = []
    for arrival, duration in zip(arrivals_s, durations_s, strict=True):
        start = max(arrival, heapq.heappop(free_at))
        heapq.heappush(free_at, start + duration)
        waits.append(start - arrival)
    return waits
