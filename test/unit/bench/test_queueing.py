import statistics

import pytest

from bench.agent.queueing import ideal_waits_s, poisson_arrivals_s
from bench.agent.tasks import STEP_S, two_kinds_steps


def test_nobody_waits_while_a_server_is_free():
    assert ideal_waits_s([0, 1, 2, 3], [10, 10, 10, 10], servers=4) == [0, 0, 0, 0]


def test_the_next_in_line_goes_to_the_server_that_is_free_first():
    assert ideal_waits_s([0, 0, 1, 1], [5, 2, 9, 1], servers=2) == [0, 0, 1, 4]


def test_a_short_task_waits_for_the_long_one_before_it():
    assert ideal_waits_s([0, 1, 2], [6, 0.3, 0.3], servers=1) == pytest.approx([0, 5, 4.3])


def test_arrivals_out_of_order_are_refused():
    with pytest.raises(ValueError, match="order"):
        ideal_waits_s([1, 0], [1, 1], servers=1)


def test_every_arrival_needs_its_duration():
    with pytest.raises(ValueError, match="zip"):
        ideal_waits_s([0, 1], [1], servers=1)


def test_with_one_server_and_equal_durations_the_mean_wait_is_that_of_theory():
    # M/D/1: rho * s / (2 * (1 - rho))
    count, load = 200_000, 0.7
    waits = ideal_waits_s(poisson_arrivals_s(count, rate=load, seed=1), [1.0] * count, servers=1)
    assert statistics.mean(waits) == pytest.approx(load / (2 * (1 - load)), rel=0.05)


def test_arrivals_are_the_same_for_the_same_seed_and_come_at_the_rate_asked_for():
    arrivals = poisson_arrivals_s(10_000, rate=4, seed=7)
    assert arrivals == poisson_arrivals_s(10_000, rate=4, seed=7)
    assert arrivals != poisson_arrivals_s(10_000, rate=4, seed=8)
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(2500, rel=0.05)


def test_exactly_a_fifth_of_the_fleets_tasks_are_long():
    steps = two_kinds_steps(60, short_s=0.3, long_s=6, long_share=0.2, seed=7)
    assert sorted(steps) == [round(0.3 / STEP_S)] * 48 + [round(6 / STEP_S)] * 12
    assert steps != sorted(steps)
