"""Pods by seconds of work beside pods by the number of tasks, on the captured loads and on others, by simulation."""

from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest

import docs.scaling
from docs.scaling import LOADS
from planning.simulation import (
    Autoscaling,
    ByWork,
    Load,
    Pods,
    Provisioning,
    Setup,
    Spot,
    simulate,
)
from scaler.policy import Limits
from test.kit.captures import BURST, LONG, PODS

SEEDS = range(8)
STEADY_GPUS = 5.6


def by_work(job_s, *, target_wait_s=60.0, max_pods=20, seed=0, first_look_s=None, **platform):
    """The chart with a scaler, which is told what the jobs take."""
    limits = Limits(target_wait_s=target_wait_s, max_pods=max_pods)
    scaling = Autoscaling(
        policy=lambda: ByWork(limits, job_s=job_s),
        max_pods=max_pods,
        has_scaler=True,
        first_look_s=first_look_s,
    )
    return Setup(scaling=scaling, seed=seed, **{"pods": PODS, **platform})


def by_tasks(*, max_pods=20, seed=0, first_look_s=None, **platform):
    """The chart without one: ten tasks a pod."""
    scaling = Autoscaling(max_pods=max_pods, first_look_s=first_look_s)
    return Setup(scaling=scaling, seed=seed, **{"pods": PODS, **platform})


def max_wanted(outcome):
    return max(moment.wanted for moment in outcome.samples)


@pytest.mark.parametrize("seed", range(24))
def test_a_burst_is_done_by_250_s_whenever_the_autoscaler_looks_for_about_half_of_what_pods_by_tasks_cost(seed):
    outcome = simulate(BURST.load, by_work(5, seed=seed))
    before = simulate(BURST.load, by_tasks(seed=seed))
    assert outcome.ends_s <= 250
    assert outcome.paid_per_work <= 2.6
    assert outcome.paid_s < 0.55 * before.paid_s


@pytest.mark.parametrize("seed", SEEDS)
def test_long_jobs_are_done_within_12_minutes_instead_of_27_and_none_is_interrupted(seed):
    outcome = simulate(LONG.load, by_work(150, seed=seed, first_look_s=LONG.first_look_s))
    before = simulate(LONG.load, by_tasks(seed=seed, first_look_s=LONG.first_look_s))
    assert outcome.ends_s <= 720
    assert before.ends_s >= 1500
    assert outcome.paid_per_work <= 1.5
    assert outcome.interrupted == 0


@pytest.mark.parametrize(
    "load",
    [
        *[Load.steady(STEADY_GPUS / job_s, 900, job_s) for job_s in (5, 15)],
        *[Load.poisson(STEADY_GPUS / 5, 900, 5, seed=seed) for seed in (1, 2, 3)],
    ],
    ids=["even-5s", "even-15s", "poisson-1", "poisson-2", "poisson-3"],
)
def test_steady_work_for_six_gpus_never_has_more_than_nine_pods_and_the_queue_is_empty_within_ten_minutes(load):
    outcome = simulate(load, by_work(load.seconds[0]), sample_s=2)
    assert max_wanted(outcome) <= 9
    assert any(moment.visible == 0 for moment in outcome.samples if 120 < moment.at_s <= 600)


@pytest.mark.parametrize("name", LOADS)
def test_on_no_load_is_it_much_worse_than_pods_by_tasks(name):
    load, job_s = LOADS[name]
    pairs = [(docs.scaling.by_work(load, job_s, seed), docs.scaling.by_tasks(load, seed)) for seed in SEEDS[:3]]
    paid = median(now.paid_s / before.paid_s for now, before in pairs)
    # Waits include the boot, so that a few seconds more count little.
    waits = median((now.wait_s(95) + 30) / (before.wait_s(95) + 30) for now, before in pairs)
    assert waits < 1.6
    assert paid < 1.2 or waits < 0.7
    assert all(now.interrupted == 0 for now, _ in pairs)


BURST_200, BOTH, RAMP = [
    LOADS[name][0]
    for name in ("200 jobs of 5 s at once", "200 of 5 s on top of 3 GPUs' work", "a ramp to 15 GPUs in 15 minutes")
]


@pytest.mark.parametrize("load", [BURST_200, BOTH, RAMP], ids=["burst", "both", "ramp"])
def test_who_lets_work_wait_longer_pays_no_more_and_who_does_not_waits_no_longer(load):
    outcomes = [
        [simulate(load, by_work(5, target_wait_s=target_s, seed=seed)) for seed in SEEDS]
        for target_s in (10, 60, 150, 400)
    ]
    paid_s = [median(outcome.paid_s for outcome in each) for each in outcomes]
    waits_s = [median(outcome.mean_wait_s for outcome in each) for each in outcomes]
    assert all(less <= 1.03 * paid for paid, less in pairwise(paid_s))
    assert all(more >= 0.97 * wait for wait, more in pairwise(waits_s))
    assert paid_s[-1] < 0.95 * paid_s[0]
    assert waits_s[-1] > 1.2 * waits_s[0]


def test_where_ec2_has_three_nodes_no_more_and_more_pods_are_ordered():
    scarce = by_work(5, max_pods=100)
    outcome = simulate(BURST_200, replace(scarce, nodes=Provisioning(limit=3)))
    assert max_wanted(outcome) <= 10
    assert outcome.unfinished == 0


def test_when_spot_takes_nodes_back_the_work_is_done_all_the_same():
    outcome = simulate(
        Load.poisson(1, 1800, 5), by_work(5, spot=Spot(interruptions_per_hour=2), pods=Pods(held=1)), sample_s=5
    )
    assert outcome.node_interruptions > 3
    assert outcome.unfinished == 0
    assert max_wanted(outcome) <= 10


def test_pods_with_four_gpus_each_cost_less_than_by_tasks():
    pods = Pods(devices=4, held=5)
    load = Load.poisson(2.4, 1800, 5)
    assert simulate(load, by_work(5, pods=pods)).paid_s < 0.9 * simulate(load, by_tasks(pods=pods)).paid_s
