"""What holds of every simulation: queueing theory, jobs that end once, seconds that are paid once, equal seeds."""

import math
import random
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.simulation import (
    Autoscaling,
    ByWork,
    Depth,
    Load,
    Pods,
    Provisioning,
    Setup,
    Spot,
    StuckError,
    simulate,
)
from planning.simulation.agents import Agents
from planning.simulation.cluster import NodeState, SimulatedCluster, SimulatedNode, SimulatedPod
from scaler.demand import Reading
from scaler.policy import Limits

DAY_S = 86_400.0
QUIET_S = 600.0
"""Enough for pods that stay to be ready."""
BATCHES, CONFIDENT = 40, 3.55
"""Student's t of 39 degrees of freedom for 99.9 %."""


def erlang_c(servers, load):
    """The chance that a job waits, with exponential times."""
    term = load**servers / math.factorial(servers) * servers / (servers - load)
    return term / (sum(load**n / math.factorial(n) for n in range(servers)) + term)


def exponential(per_second, mean_s, jobs, seed):
    chance = random.Random(seed)
    times = list(accumulate((chance.expovariate(per_second) for _ in range(jobs)), initial=QUIET_S))[1:]
    return Load(times, [chance.expovariate(1 / mean_s) for _ in range(jobs)])


def fixed(count, **others):
    return Setup(scaling=Autoscaling(min_pods=count, max_pods=count), **others)


def interval(values):
    """The mean of a run, and how far it may be off: by the means of its parts, which hardly depend on each other."""
    size = len(values) // BATCHES
    means = [fmean(values[place * size : (place + 1) * size]) for place in range(BATCHES)]
    return fmean(means), CONFIDENT * stdev(means) / BATCHES**0.5


@pytest.mark.parametrize(("servers", "usage"), [(1, 0.6), (3, 0.8), (16, 0.9)])
def test_waits_at_a_fixed_number_of_pods_are_those_of_theory(servers, usage):
    mean_s, load = 4.0, servers * usage
    outcome = simulate(exponential(load / mean_s, mean_s, 100_000, seed=1), fixed(servers))
    waits, chance = list(outcome.waits), erlang_c(servers, load)
    mean, error = interval(waits)
    assert mean == pytest.approx(chance * mean_s / (servers - load), abs=error)
    share, error = interval([float(wait > 0) for wait in waits])
    assert share == pytest.approx(chance, abs=error)


def test_devices_of_one_pod_are_servers_too():
    outcome = simulate(exponential(0.6, 4.0, 100_000, seed=2), fixed(1, pods=Pods(devices=3)))
    mean, error = interval(list(outcome.waits))
    assert mean == pytest.approx(erlang_c(3, 2.4) * 4 / 0.6, abs=error)


jobs = st.lists(st.tuples(st.floats(0, 2000), st.floats(0.1, 300)), max_size=40).map(sorted)
policies = st.one_of(
    st.builds(
        lambda length, keep_busy: partial(Depth, length, keep_busy=keep_busy),
        st.sampled_from([0.5, 1, 10]),
        st.booleans(),
    ),
    st.builds(lambda job_s: partial(ByWork, Limits(max_pods=10), job_s=job_s), st.sampled_from([1, 100])),
)
setups = st.builds(
    Setup,
    scaling=st.builds(
        lambda fewest, more, policy, cooldown_s: Autoscaling(
            policy=policy, min_pods=fewest, max_pods=fewest + more, cooldown_s=cooldown_s
        ),
        *(st.integers(0, 2), st.integers(1, 8), policies, st.sampled_from([0, 60])),
    ),
    nodes=st.builds(Provisioning, warm=st.integers(0, 2), limit=st.sampled_from([None, 4, 7])),
    pods=st.builds(Pods, devices=st.integers(1, 3), held=st.integers(1, 4), overhead_s=st.sampled_from([0, 1.5])),
    spot=st.builds(Spot, interruptions_per_hour=st.sampled_from([0, 2])),
    seed=st.integers(0, 10),
)


@settings(max_examples=150, deadline=None)
@given(jobs, setups)
def test_every_job_ends_once_and_every_second_is_paid_once(jobs, setup):
    load = Load([time for time, _ in jobs], [seconds for _, seconds in jobs])
    outcome = simulate(load, setup)
    assert (outcome.done, outcome.unfinished, len(outcome.waits)) == (len(jobs), 0, len(jobs))
    assert all(wait >= 0 for wait in outcome.waits)
    assert outcome.paid_s == pytest.approx(outcome.boot_s + outcome.busy_s + outcome.idle_s)
    assert outcome.idle_s >= -1e-6
    worked_s = load.work_s + len(jobs) * setup.pods.overhead_s
    assert outcome.busy_s == pytest.approx(worked_s) if not outcome.interrupted else outcome.busy_s >= worked_s
    last = outcome.samples[-1]
    assert (last.sent, last.done, last.visible, last.in_flight) == (len(jobs), len(jobs), 0, 0)
    assert last.nodes == setup.scaling.min_pods + setup.nodes.warm


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(
        st.tuples(st.floats(0.1, 200), st.sampled_from(["add", "remove", "wait"]), st.integers(0, 5)), max_size=40
    ),
)
def test_no_device_works_on_two_jobs_and_no_message_is_lost_or_held_twice(devices, held, steps):
    load = Load.poisson(0.2, 1000, [(5, 1), (150, 1)])
    agents = Agents(load, Pods(devices=devices, held=held))
    now, ready = 0.0, set()
    for step_s, action, place in [*steps, (1e6, "add", 99), (1e6, "wait", 0)]:
        now += step_s
        agents.run(now)
        if action == "add" and place not in ready:
            ready.add(place)
            agents.add(place, now)
        elif action == "remove" and place in ready:
            ready.remove(place)
            agents.remove(place, now, 95)
        working = agents.jobs_by_pod()
        assert set(working) <= ready
        assert all(count <= devices for count in working.values())
        # Beside the jobs of ready pods: those taken in advance, and the last ones of pods that have to go.
        under_way = sum(start >= 0 > end for start, end in zip(agents.started, agents.ended, strict=True))
        leaving = under_way - working.total()
        assert 0 <= leaving <= agents.in_flight - working.total() <= leaving + len(ready) * max(0, held - devices)
        # Nobody waits while a message does.
        assert agents.visible == 0 or working.total() == devices * len(ready)
    assert agents.is_done
    assert all(
        0 <= time <= start and end == pytest.approx(start + seconds)
        for time, seconds, start, end in zip(load.times, load.seconds, agents.started, agents.ended, strict=True)
    )


def test_equal_seeds_give_equal_outcomes_and_others_do_not():
    load = Load.poisson(0.5, 2000, 5, seed=3)
    setup = Setup(spot=Spot(2), seed=1)
    assert simulate(load, setup) == simulate(load, setup)
    assert simulate(load, setup) != simulate(load, replace(setup, seed=2))


def test_a_quiet_month_between_two_jobs_costs_two_nodes_and_as_little_waiting():
    outcome = simulate(Load([0, 30 * DAY_S], [5, 5]), Setup())
    assert outcome.node_starts == 2
    assert all(90 < wait < 130 for wait in outcome.waits)
    assert len(outcome.samples) < 100


def test_pods_that_stay_are_paid_for_until_the_load_is_over():
    outcome = simulate(Load([10], [5], DAY_S), fixed(2))
    assert outcome.paid_s == pytest.approx(2 * DAY_S, rel=0.001)


def test_a_warm_node_saves_its_boot_and_is_paid_for():
    load = Load([1000], [5], 4000)
    cold, warm = (simulate(load, Setup(nodes=Provisioning(warm=count))) for count in (0, 1))
    assert cold.waits[0] - warm.waits[0] == pytest.approx(60, abs=20)
    assert warm.paid_s > 3000 > cold.paid_s


def test_an_empty_node_is_paid_for_a_while_and_takes_the_next_pod_if_it_comes_in_time():
    settings = Setup(scaling=Autoscaling(cooldown_s=0))
    tail_s = (45, 75 + 2 * settings.scaling.polling_s)
    first = simulate(Load([0], [5]), settings)
    assert tail_s[0] <= first.duration_s - first.ends_s <= tail_s[1]
    soon = simulate(Load([0, first.ends_s + 30], [5, 5]), settings)
    assert soon.node_starts == 1
    assert tail_s[0] <= soon.duration_s - soon.ends_s <= tail_s[1]
    assert simulate(Load([0, first.ends_s + 90], [5, 5]), settings).node_starts == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_node_is_empty_since_its_last_pod_went(seed):
    nodes = Provisioning(consolidate_after_s=30)
    settings = Setup(scaling=Autoscaling(cooldown_s=0), nodes=nodes, pods=Pods(boot_s=(1, 1)), seed=seed)
    ends_s = simulate(Load([0], [1]), settings).ends_s
    outcome = simulate(Load([0, ends_s + 20], [1, 1]), settings)
    assert outcome.node_starts == 1
    assert outcome.duration_s - outcome.ends_s >= 45


def test_a_node_that_spot_takes_is_replaced_once_the_limit_has_room_for_another():
    settings = Setup(scaling=Autoscaling(max_pods=1), nodes=Provisioning(limit=1), spot=Spot(4))
    outcome = simulate(Load.burst(1000, 20), settings)
    assert outcome.node_interruptions > 10
    assert outcome.unfinished == 0
    assert max(line.nodes for line in outcome.samples) == 1


def test_a_node_that_spot_takes_before_it_has_a_pod_is_replaced():
    settings = Setup(nodes=Provisioning(boot_s=(3600, 3600)), spot=Spot(1))
    outcomes = [simulate(Load([0], [5]), replace(settings, seed=seed)) for seed in range(5)]
    assert all(outcome.node_starts == outcome.node_interruptions + 1 for outcome in outcomes)
    assert any(outcome.node_interruptions for outcome in outcomes)


def test_a_limit_of_nodes_leaves_pods_waiting_and_all_jobs_end():
    outcome = simulate(Load.burst(100, 5), Setup(nodes=Provisioning(limit=3)))
    assert max(line.nodes for line in outcome.samples) == 3
    assert max(line.unscheduled for line in outcome.samples) > 3
    assert outcome.unfinished == 0


def test_spot_takes_as_many_nodes_as_its_rate_says_and_their_jobs_start_over():
    outcome = simulate(Load.steady(0.05, 2 * DAY_S, 200), replace(fixed(12), spot=Spot(2)))
    hours = outcome.paid_s / 3600
    assert outcome.node_interruptions == pytest.approx(2 * hours, rel=0.1)
    assert outcome.interrupted > 0.3 * outcome.node_interruptions
    assert outcome.unfinished == 0


def test_a_job_that_ends_within_the_warning_is_not_interrupted():
    outcome = simulate(Load.steady(0.5, DAY_S, 10), replace(fixed(12), spot=Spot(0.5)))
    assert outcome.node_interruptions > 50
    assert outcome.interrupted == 0


def test_the_agents_reports_that_a_policy_sees_are_as_old_as_it_is_said():
    seen: list[Reading] = []

    class Watching:
        def __call__(self, reading: Reading, pods: int) -> float:
            seen.append(reading)
            return Depth()(reading, pods)

    simulate(Load.burst(50, 20), Setup(scaling=Autoscaling(policy=Watching)))
    assert seen[0] == Reading(-2, 0, 0, 0, 0, None), "it has seen the runtime at rest"
    assert {reading.job_s for reading in seen if reading.at_s < 100} == {None}
    assert {reading.job_s for reading in seen[-10:]} == {20}
    changes = [after.at_s for before, after in pairwise(seen) if before[3:] != after[3:]]
    assert all(later - earlier >= 15 for earlier, later in pairwise(changes))


def test_a_policy_that_never_wants_a_pod_is_reported_instead_of_simulated_for_ever():
    with pytest.raises(StuckError, match="5 jobs wait and 0 run, and none has ended for 24 hours: 0 pods are wanted"):
        simulate(Load.burst(5, 5), Setup(scaling=Autoscaling(policy=lambda: lambda *_: 0.0)))


def test_a_job_that_spot_never_lets_end_is_reported_and_one_that_takes_a_day_is_not():
    job, short_lived = Load([0.0], [72_000.0]), Spot(interruptions_per_hour=10)
    with pytest.raises(StuckError, match="none has ended for 44 hours"):
        simulate(job, Setup(spot=short_lived))
    days = Load([0.0, 0.0], [86_400.0] * 2)
    assert simulate(days, Setup(scaling=Autoscaling(max_pods=1))).done == len(days)


def test_a_node_that_spot_takes_without_a_warning_is_paid_once():
    outcome = simulate(Load.steady(0.05, 3600, 30), Setup(spot=Spot(interruptions_per_hour=10, warning_s=0)))
    assert outcome.paid_s == pytest.approx(outcome.boot_s + outcome.busy_s + outcome.idle_s)


def test_percentiles_are_of_the_nearest_rank():
    outcome = replace(simulate(Load([], []), Setup()), waits=[5, 1, 4, 2, 3])
    assert [outcome.wait_s(percent) for percent in (0, 20, 50, 95, 100)] == [1, 1, 3, 5, 5]


class Busy:
    """Agents of which some pods work."""

    def __init__(self, *pods):
        self.pods = pods
        self.removed = []

    def jobs_by_pod(self):
        return self.pods

    def add(self, pod, now):
        """Take note of nothing."""

    def remove(self, pod, now, _grace_s):
        self.removed.append(pod)
        return now


def test_pods_are_deleted_in_the_order_of_a_replica_set():
    """Source: Kubernetes 1.36.3, pkg/controller/controller_utils.go, ActivePodsWithRanks."""
    agents = Busy(3, 4)
    cluster = SimulatedCluster(Setup(), agents, now=1000.0)
    node = SimulatedNode(0.0, state=NodeState.SERVING)
    idle_old, idle_new = SimulatedPod(5, 0, node, 100), SimulatedPod(6, 0, node, 900)
    busy_old, busy_new = SimulatedPod(4, 0, node, 100), SimulatedPod(3, 0, node, 900)
    starting, unscheduled = SimulatedPod(2, 0, node), SimulatedPod(1, 0)
    cluster.pods = [busy_old, starting, idle_old, idle_new, busy_new, unscheduled]
    order = [unscheduled, starting, idle_new, idle_old, busy_new, busy_old]
    for left in range(5, -1, -1):
        cluster.scale(left)
        assert [pod for pod in order if pod.is_leaving] == order[: 6 - left]
    assert agents.removed == [6, 5, 3, 4]


def test_pods_of_about_one_age_are_deleted_by_chance():
    """Ages count by powers of two: LogarithmicScaleDown."""

    def deleted(seed):
        agents = Busy()
        cluster = SimulatedCluster(Setup(seed=seed), agents, now=1000.0)
        nodes = SimulatedNode(0.0), SimulatedNode(0.0)
        cluster.pods = [SimulatedPod(1, 0, nodes[0], 100), SimulatedPod(2, 0, nodes[1], 200)]
        cluster.scale(1)
        return agents.removed[0]

    assert {deleted(seed) for seed in range(20)} == {1, 2}


def test_the_empty_one_of_two_nodes_goes():
    cluster = SimulatedCluster(Setup(), Busy())

    def wait_until(at_s):
        while (event_s := cluster.next_event_s) <= at_s:
            cluster.now = event_s
            cluster.happen()
        cluster.now = at_s

    cluster.scale(2)
    wait_until(100)
    cluster.scale(1)
    wait_until(180)
    assert cluster.nodes == [pod.node for pod in cluster.pods]
    assert cluster.counts() == (0, 0, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Autoscaling(min_pods=3, max_pods=2), "between 3 and 2 pods"),
        (lambda: Autoscaling(max_pods=0), "between 0 and 0 pods"),
        (lambda: Autoscaling(polling_s=0), "a look each 0 s"),
        (lambda: Setup(nodes=Provisioning(limit=0)), "at most 0 nodes"),
        (lambda: Setup(scaling=Autoscaling(min_pods=2), nodes=Provisioning(limit=2, warm=1)), "at most 2 nodes, but 3"),
    ],
)
def test_what_could_not_be_simulated_is_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
