"""The simulation beside timelines of a real control plane: test/kit/captures.py."""

import pytest

from planning.simulation import simulate
from test.kit.captures import CAPTURES, LONG

PERIOD_S = 15
SEEDS = range(20)


def run(capture, seed):
    until_s = {} if capture is not LONG else {"until_s": 840}
    return simulate(capture.load, capture.setup(seed=seed), sample_s=1, **until_s)


def wanted_around(outcome, at_s):
    """What was wanted within one period of HPA; nothing once everything is over."""
    return {line.wanted for line in outcome.samples if abs(line.at_s - at_s) <= PERIOD_S} or {0}


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_each_captured_number_of_wanted_pods_is_reproduced_within_a_period_of_hpa(capture):
    outcome = run(capture, capture.seed)
    missed = [line for line in capture.lines if line.wanted not in wanted_around(outcome, line.at_s)]
    assert missed == []


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_however_long_pods_boot_the_captured_number_lies_within_what_a_period_of_hpa_spans(capture):
    for seed in SEEDS:
        outcome = run(capture, seed)
        for line in capture.lines:
            around = wanted_around(outcome, line.at_s)
            assert min(around) <= line.wanted <= max(around), (seed, line)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_the_first_pod_is_ready_and_the_work_ends_within_a_tenth_of_the_captured_time(capture):
    ends_s = next((line.at_s for line in capture.lines if line.done == line.sent == len(capture.load)), None)
    for seed in SEEDS:
        outcome = run(capture, seed)
        assert 0.9 * capture.first_ready_s[0] <= outcome.first_ready_s <= 1.1 * capture.first_ready_s[1], seed
        if ends_s is not None:
            assert outcome.ends_s == pytest.approx(ends_s, rel=0.1), seed


def test_a_busy_pod_is_taken_from_long_jobs_that_still_wait_as_it_was():
    outcome = run(LONG, LONG.seed)
    last = LONG.lines[-1]
    assert (outcome.interrupted, outcome.unfinished) == (last.interrupted, 40 - last.done)
    assert len(outcome.waits) == last.done + last.ready
