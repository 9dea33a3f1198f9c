"""How many pods the work calls for: cases by hand, and what holds for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.policy import BUCKET_S, Demand, Flow, Limits, wanted_pods

BOOT_S = 100
WINDOW = 7
"""Intervals of a boot."""


def demand(arrivals_s=(), served_s=(), bucket_s=BUCKET_S, **known):
    nothing = {"waiting_s": 0, "running": 0, "ready": 0, "booting": 0}
    number = len(arrivals_s)
    flow = Flow(arrivals_s, served_s or (0,) * number, (bucket_s,) * number)
    return Demand(**{**nothing, "job_s": 5, "boot_s": BOOT_S, **known}, flow=flow)


def steady(gpus, intervals, *, ready=0, **known):
    """Work for so many GPUs that has come for some intervals, to pods that were ready all the time."""
    each_s = gpus * BUCKET_S
    served_s = min(ready, gpus) * BUCKET_S
    known = {"waiting_s": (each_s - served_s) * intervals, "running": min(ready, int(gpus)), **known}
    return demand(arrivals_s=(each_s,) * intervals, served_s=(served_s,) * intervals, ready=ready, **known)


@pytest.mark.parametrize(
    ("known", "pods"),
    [
        (demand(), 0),
        (demand(waiting_s=0.5, job_s=0.5), 1),
        # A share of a burst is 60 s that it may wait, 50 s for the boot, and two jobs and a bit.
        (demand(waiting_s=120), 1),
        (demand(waiting_s=121), 2),
        (demand(waiting_s=1000), 9),
        (demand(waiting_s=1000, arrivals_s=(0, 0, 400, 600, 0)), 9),
        # What pods that are ready do of it while others boot is not divided.
        (demand(waiting_s=1000, running=4, ready=4), 5),
        (demand(waiting_s=5, ready=1), 1),
        (demand(waiting_s=6000, job_s=150), 15),
        (demand(waiting_s=100_000), 20),
        # A job that takes longer than a pod's start is worth a pod of its own; two pods cannot share it.
        (demand(waiting_s=4 * 600, job_s=600), 4),
        (demand(waiting_s=2 * 3600, job_s=3600), 2),
        # Pods that go on with such jobs do nothing of what waits.
        (demand(waiting_s=3600, job_s=3600, running=1, ready=1), 2),
        (demand(waiting_s=5 * 3600, job_s=3600, running=5, ready=5), 10),
        # Three such jobs within a minute are no reason for twenty pods.
        (demand(waiting_s=4 * 300, job_s=300, arrivals_s=(300, 300, 300, 300)), 7),
        (demand(waiting_s=3 * 1800, job_s=1800, arrivals_s=(1800, 1800, 1800, 0)), 4),
        # Pods that boot stay while there is a quarter of a share, or a job, for each besides those that work.
        (demand(waiting_s=1200, job_s=600, running=8, ready=8, booting=2), 10),
        (demand(waiting_s=200, running=6, ready=6, booting=2), 7),
        (demand(waiting_s=100, running=6, ready=6, booting=2), 6),
        # Slow boots are dear.
        (demand(waiting_s=1000, boot_s=300), 5),
        # What has come for a minute is load, and not a burst; what piled up is not load.
        (steady(5.6, 3), 5),
        (steady(5.6, 4), 7),
        (steady(5.6, 7), 8),
        (steady(5.6, 12, ready=5), 7),
        (steady(5.6, 12, ready=7), 7),
        (steady(5.6, 12, ready=12, running=3), 7),
        (steady(5.6, 12, ready=7, waiting_s=1000), 14),
        # When it ends, pods stay for what came on average during the last boot time.
        (demand(ready=7, arrivals_s=(84, 84, 84, 84, 84, 0, 0), served_s=(84,) * 7), 4),
        (demand(ready=7, arrivals_s=(84, 84, 0, 0, 0, 0, 0), served_s=(84,) * 7), 1),
        (demand(ready=7, arrivals_s=(84, 0, 0, 0, 0, 0, 0), served_s=(84,) * 7), 0),
        # Less than a GPU's work leaves none to wait for more: KEDA keeps the last pod for a while.
        (demand(ready=1, arrivals_s=(3,) * 7, served_s=(3,) * 7), 0),
        (demand(running=1, ready=1, arrivals_s=(3,) * 7, served_s=(3,) * 7), 1),
        # Two GPUs a pod.
        (demand(waiting_s=1000, devices=2), 5),
        (demand(running=5, ready=3, devices=2), 3),
        # A burst that is nearly done: those that work stay.
        (demand(waiting_s=10, running=8, ready=8), 8),
        (demand(running=3, ready=8), 3),
    ],
)
def test_as_many_pods_are_wanted_as_the_work_calls_for(known, pods):
    assert wanted_pods(known, Limits()) == pods


@pytest.mark.parametrize(
    ("limits", "pods"),
    [
        (Limits(min_pods=2), 2),
        (Limits(max_pods=3), 3),
        (Limits(target_wait_s=10), 15),
        (Limits(target_wait_s=940), 1),
    ],
)
def test_the_operator_bounds_and_balances(limits, pods):
    waiting_s = 0 if limits.min_pods else 1000
    assert wanted_pods(demand(waiting_s=waiting_s), limits) == pods


AMOUNTS = st.floats(0, 1e5)
COUNTS = st.integers(0, 200)


@st.composite
def demands(draw):
    intervals = draw(st.integers(0, 40))
    each = st.lists(st.floats(0, 1e4), min_size=intervals, max_size=intervals)
    return demand(
        waiting_s=draw(AMOUNTS),
        running=draw(COUNTS),
        ready=draw(COUNTS),
        booting=draw(COUNTS),
        arrivals_s=tuple(draw(each)),
        served_s=tuple(draw(each)),
        job_s=draw(st.floats(0.01, 3600)),
        boot_s=draw(st.floats(5, 900)),
        devices=draw(st.integers(1, 8)),
    )


@st.composite
def all_limits(draw):
    low, high = sorted(draw(st.tuples(COUNTS, st.integers(1, 200))))
    return Limits(target_wait_s=draw(st.floats(0, 1e4)), min_pods=low, max_pods=high)


@given(demands(), all_limits())
def test_pods_stay_within_the_operators_limits_and_never_fall_below_those_that_work(known, limits):
    pods = wanted_pods(known, limits)
    assert limits.min_pods <= pods <= limits.max_pods
    assert pods >= min(known.running, known.ready, limits.max_pods)


@given(demands(), all_limits(), AMOUNTS)
def test_more_waiting_work_never_means_fewer_pods(known, limits, more_s):
    more = known._replace(waiting_s=known.waiting_s + more_s)
    assert wanted_pods(more, limits) >= wanted_pods(known, limits)


@given(demands(), all_limits(), st.floats(0, 1e4))
def test_who_lets_work_wait_longer_never_gets_more_pods(known, limits, more_s):
    patient = Limits(target_wait_s=limits.target_wait_s + more_s, min_pods=limits.min_pods, max_pods=limits.max_pods)
    assert wanted_pods(known, patient) <= wanted_pods(known, limits)


@given(demands())
def test_no_pod_is_wanted_only_where_there_is_no_work_and_none_keeps_coming(known):
    if wanted_pods(known, Limits()) == 0:
        assert known.waiting_s == known.running == 0
    elif known.waiting_s == known.running == 0:
        assert any(known.flow.arrivals_s)


def test_intervals_that_end_late_tell_the_same_rate():
    gpus = 9  # a sixteenth more would take an eleventh pod
    for bucket_s in (BUCKET_S, 16, 17):
        flow = {"arrivals_s": (gpus * bucket_s,) * 8, "served_s": (gpus * bucket_s,) * 8, "bucket_s": bucket_s}
        assert wanted_pods(demand(**flow, running=gpus, ready=gpus), Limits()) == 10


def test_a_burst_is_left_out_of_steady_work_although_a_longer_interval_brought_more():
    gpus = 9
    usual = [(gpus * BUCKET_S, BUCKET_S)] * 4
    arrivals_s, lengths_s = zip(*usual, (gpus * 60, 60), *[(gpus * 30, BUCKET_S)] * 2, strict=True)
    known = demand(running=gpus, ready=gpus)
    assert wanted_pods(known._replace(flow=Flow(arrivals_s, arrivals_s, lengths_s)), Limits()) == 10
