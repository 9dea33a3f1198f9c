"""Measures the simulation of loads: what a million jobs of a day take, and those of a month."""

import time
from math import pi, sin

from bench.figures import Figure, print_all
from planning.simulation import Autoscaling, Load, Outcome, Pods, Setup, simulate

LIMIT_S = 10
_JOBS, _SHORT_JOBS = 1_000_000, 10_000
_DAY_S = 86_400.0
_JOB_S = 1.5
_RUNS = 3


def report(*, short: bool) -> list[Figure]:
    """Measure how long simulations take; print and return the figures."""
    jobs = _SHORT_JOBS if short else _JOBS
    days = 30 * jobs / _JOBS
    return print_all(
        [_figure("a million jobs of a day", _day(jobs)), _figure("a million jobs of a month", _month(days))]
    )


def _day(jobs: int) -> Load:
    """About as many jobs within a day, at one rate."""
    return Load.poisson(jobs / _DAY_S, _DAY_S, _JOB_S)


def _month(days: float) -> Load:
    """A million jobs in 30 days, hardly any at night; or the first of those days."""
    mean = _JOBS / (30 * _DAY_S)
    return Load.curve(
        lambda at_s: mean * (1 + 0.95 * sin(2 * pi * at_s / _DAY_S)), days * _DAY_S, _JOB_S, highest_per_second=2 * mean
    )


def _figure(name: str, load: Load) -> Figure:
    setup = Setup(scaling=Autoscaling(max_pods=40), pods=Pods(held=2))
    return Figure(f"{name}, simulated", [_seconds(load, setup) for _ in range(_RUNS)], "s", LIMIT_S)


def _seconds(load: Load, setup: Setup) -> float:
    begin = time.perf_counter()
    outcome = simulate(load, setup)
    took_s = time.perf_counter() - begin
    _check(outcome, load)
    return took_s


def _check(outcome: Outcome, load: Load) -> None:
    assert outcome.done == len(load), f"{outcome.done} of {len(load)} jobs have ended"
