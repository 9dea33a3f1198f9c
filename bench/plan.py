"""Measures the simulation of loads: a million jobs within a day and within a month, with and without a scaler."""

import time
from math import pi, sin

from bench.figures import Figure, print_all
from planning.simulation import Autoscaling, ByWork, Load, Outcome, Pods, Setup, Spot, simulate
from planning.simulation.load import Lengths
from scaler.policy import Limits

LIMIT_S = 10
"""Of a processor: what else runs on the machine does not count."""
_JOBS = 1_000_000
_SHORT_SHARE = 0.01
_DAY_S = 86_400.0
_JOB_S = 1.5
_MIX = ((1.5, 0.6), (5.0, 0.3), (60.0, 0.1))
"""Lengths of jobs in seconds, each with its share."""
_SPOT = 0.05
"""Share of the nodes that EC2 takes back in an hour."""
_RUNS = 3
_MAX_PODS = 40


def report(*, short: bool) -> list[Figure]:
    """Measure how long simulations take; print and return the figures."""
    share = _SHORT_SHARE if short else 1.0
    by_depth = Autoscaling(max_pods=_MAX_PODS)
    limits = Limits(max_pods=_MAX_PODS)
    by_work = Autoscaling(policy=lambda: ByWork(limits, job_s=10), max_pods=_MAX_PODS, has_scaler=True)
    day, month, mixed = _day(share), _month(share, _JOB_S), _month(share, _MIX)
    return print_all(
        [
            _figure("a million jobs of a day", day, by_depth),
            _figure("the same day with a scaler", day, by_work),
            _figure("a million jobs of a month", month, by_depth),
            _figure("the same month with a scaler", month, by_work),
            _figure("a month of jobs of 1.5 s, 5 s and 60 s with a scaler", mixed, by_work),
            _figure("the same on Spot", mixed, by_work, _SPOT),
        ]
    )


def _day(share: float) -> Load:
    """A million jobs within a day at one rate; or a share of that time."""
    return Load.poisson(_JOBS / _DAY_S, share * _DAY_S, _JOB_S)


def _month(share: float, lengths: Lengths) -> Load:
    """A million jobs in 30 days, hardly any at night; or a share of that time."""
    mean = _JOBS / (30 * _DAY_S)
    return Load.curve(
        lambda at_s: mean * (1 + 0.95 * sin(2 * pi * at_s / _DAY_S)),
        share * 30 * _DAY_S,
        lengths,
        highest_per_second=2 * mean,
    )


def _figure(name: str, load: Load, scaling: Autoscaling, spot: float = 0.0) -> Figure:
    setup = Setup(scaling=scaling, pods=Pods(held=2), spot=Spot(interruptions_per_hour=spot))
    return Figure(f"{name}, simulated", [_seconds(load, setup) for _ in range(_RUNS)], "s", LIMIT_S)


def _seconds(load: Load, setup: Setup) -> float:
    begin = time.process_time()
    outcome = simulate(load, setup)
    took_s = time.process_time() - begin
    _check(outcome, load)
    return took_s


def _check(outcome: Outcome, load: Load) -> None:
    assert outcome.done == len(load), f"{outcome.done} of {len(load)} jobs have ended"
