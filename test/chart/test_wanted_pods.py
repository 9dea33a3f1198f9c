"""How many pods the autoscaler wants, computed from the formula that the chart writes."""

import itertools

import pytest
from autoscaler import Autoscaler
from chartkit import AWS

from test.kit.charts import at, merged


@pytest.fixture(scope="module")
def scaled(helm):
    """Gives the autoscaler of a release with other settings of `scaling`."""

    def of(**scaling):
        return Autoscaler(helm.template(merged(AWS, at("runtime.scaling", scaling)))["ScaledObject"]["spec"])

    return of


@pytest.fixture(scope="module")
def default(scaled):
    return scaled()


@pytest.mark.parametrize(
    ("waiting", "in_flight", "pods", "wanted"),
    [
        pytest.param(1, 0, 1, 1, id="one task, one pod"),
        pytest.param(40, 0, 1, 4, id="a burst while the first pod starts"),
        pytest.param(400, 0, 1, 20, id="a burst beyond the most"),
        pytest.param(20, 8, 4, 4, id="long jobs: fewer tasks than before, and every pod works"),
        pytest.param(0, 10, 5, 5, id="each of five pods works on one and holds one"),
        pytest.param(0, 40, 20, 20, id="what is held in advance calls for no pod"),
        pytest.param(0, 3, 5, 3, id="the end of long jobs: two pods are idle"),
        pytest.param(0, 1, 20, 1, id="the last job of many pods"),
        pytest.param(0, 19, 20, 20, id="one idle pod of twenty is within the tolerance"),
        pytest.param(30, 8, 4, 4, id="depth and work call for the same"),
        pytest.param(92, 8, 4, 10, id="depth calls for more than work"),
        pytest.param(0, 0, 5, 1, id="nothing to do: the last one is KEDA's"),
    ],
)
def test_as_many_pods_are_wanted_as_the_tasks_call_for_and_as_work(default, waiting, in_flight, pods, wanted):
    assert default.wanted(waiting=waiting, in_flight=in_flight, pods=pods) == wanted


def test_a_pod_that_draws_a_batch_calls_for_no_second_one(scaled):
    batch = scaled(queueLength=24)
    assert batch.wanted(waiting=0, in_flight=24, pods=1) == 1
    assert batch.wanted(waiting=24, in_flight=24, pods=1) == 2


def test_pods_that_stay_without_work_stay(scaled):
    assert scaled(minReplicaCount=2).wanted(waiting=0, in_flight=0, pods=5) == 2


@pytest.mark.parametrize("queue_length", [1, 10, 1000])
@pytest.mark.parametrize("counted", [True, False])
def test_no_pod_with_a_running_job_is_ever_one_too_many(scaled, queue_length, counted):
    autoscaler = scaled(queueLength=queue_length, scaleOnInFlight=counted)
    for pods in range(1, 21):
        for busy, ahead, waiting in itertools.product(range(pods + 1), (0, 1, 7), (0, 1, 300)):
            held = busy * (1 + ahead)
            assert autoscaler.wanted(waiting=waiting, in_flight=held, pods=pods) >= busy


@pytest.mark.parametrize("queue_length", [1, 10, 999, 1000])
def test_a_single_task_starts_the_first_pod(scaled, queue_length):
    autoscaler = scaled(queueLength=queue_length)
    assert autoscaler.is_active(waiting=1, in_flight=0, pods=0)
    assert not autoscaler.is_active(waiting=0, in_flight=0, pods=0)


@pytest.mark.parametrize("counted", [True, False])
def test_the_last_pod_is_kept_while_it_works(scaled, counted):
    autoscaler = scaled(scaleOnInFlight=counted)
    assert autoscaler.is_active(waiting=0, in_flight=1, pods=1)
    assert not autoscaler.is_active(waiting=0, in_flight=0, pods=1)


def test_where_waiting_tasks_alone_count_what_pods_hold_calls_for_none(scaled):
    alone = scaled(scaleOnInFlight=False, queueLength=1)
    assert alone.wanted(waiting=2, in_flight=8, pods=4) == 4
    assert alone.wanted(waiting=6, in_flight=8, pods=4) == 6


@pytest.mark.parametrize("pods", [0, 5])
def test_two_readings_that_do_not_fit_each_other_call_for_no_negative_number(default, pods):
    """The queue is read twice, and tasks come between."""
    assert default.of_readings(total=10, waiting=12, pods=pods) == 1000


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_the_pods_counted_are_the_deployments(releases, name):
    labels = releases[name]["Deployment"]["spec"]["selector"]["matchLabels"]
    [trigger] = [one for one in releases[name]["ScaledObject"]["spec"]["triggers"] if one["name"] == "pods"]
    assert dict(each.split("=") for each in trigger["metadata"]["podSelector"].split(",")) == labels
