"""How many pods the autoscaler wants, computed from the formula that the chart writes."""

import itertools
import math
import re

import pytest
from chartkit import AWS, QUEUE

from planning.simulation import Autoscaling, Depth
from planning.simulation.hpa import DEFAULT_DOWN, ScalingPolicy, ScalingRules
from scaler.demand import Reading
from test.kit.charts import at, merged

TOLERANCE = 0.1
"""How far usage may be from the target before the autoscaler acts: kube-controller-manager's default, EKS's too."""

_GRAMMAR = re.compile(r"[a-z\d_.+*/(), ?-]+")
"""What of expr-lang, by which KEDA reads formulas, means the same in Python: numbers, names, + - * / max and min; and
??, which is written | below."""

SCALER_URL = "http://scaler.scaling.svc:8080/runtimes/drawings"


class _Reading(float):
    """What a trigger has read."""

    def __or__(self, _):
        return self


class _Nil:
    """What a trigger is that has failed too often (scalingModifierTriggerValue of KEDA's formula.go)."""

    def __or__(self, other):
        return other


class Autoscaler:
    """Decides for a ScaledObject with scalingModifiers of type AverageValue, by KEDA's and Kubernetes' arithmetic."""

    def __init__(self, spec):
        self._modifiers = spec["advanced"]["scalingModifiers"]
        assert self._modifiers["metricType"] == "AverageValue"
        self._counts_in_flight = {
            trigger["name"]: trigger["metadata"]["scaleOnInFlight"] == "true"
            for trigger in spec["triggers"]
            if trigger["type"] == "aws-sqs-queue"
        }
        (self._pods,) = [each["name"] for each in spec["triggers"] if each["type"] == "kubernetes-workload"]
        self._least, self._most = spec["minReplicaCount"], spec["maxReplicaCount"]

    def _milli(self, waiting, in_flight, pods):
        read = {name: waiting + counts * in_flight for name, counts in self._counts_in_flight.items()}
        return self.of_readings(**read, **{self._pods: pods})

    def of_readings(self, **values):
        """The metric that KEDA answers, in thousandths (pkg/scaling/modifiers/formula.go of KEDA 2.21); None is nil."""
        formula = self._modifiers["formula"]
        assert _GRAMMAR.fullmatch(formula), formula
        read = {name: _Nil() if value is None else _Reading(value) for name, value in values.items()}
        return int(eval(formula.replace("??", "|"), {"__builtins__": {}, "max": max, "min": min}, read) * 1000)

    def is_active(self, *, waiting, in_flight, pods):
        """Whether KEDA starts the first pod, or keeps the last one from the end of its cooldown."""
        return self._milli(waiting, in_flight, pods) / 1000 > float(self._modifiers.get("activationTarget", 0))

    def wanted(self, *, waiting, in_flight, pods):
        """Pods that the autoscaler wants, once no window holds it back (GetExternalPerPodMetricReplicas)."""
        milli, target = self._milli(waiting, in_flight, pods), float(self._modifiers["target"]) * 1000
        ratio = milli / (target * pods)
        steady = 1 - TOLERANCE <= ratio <= 1 + TOLERANCE
        proposed = pods if steady else math.ceil(milli / target)
        return min(max(proposed, self._least, 1), self._most)


@pytest.fixture(scope="module")
def scaled(helm):
    """Gives the autoscaler of a release with other settings of `scaling`."""

    def of(**scaling):
        return Autoscaler(helm.template(merged(AWS, at("runtime.scaling", scaling)))["ScaledObject"]["spec"])

    return of


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
def test_as_many_pods_are_wanted_as_the_tasks_call_for_and_as_work(scaled, waiting, in_flight, pods, wanted):
    assert scaled().wanted(waiting=waiting, in_flight=in_flight, pods=pods) == wanted


@pytest.mark.parametrize(
    ("settings", "waiting", "in_flight", "pods", "wanted"),
    [
        pytest.param({"queueLength": 24}, 0, 24, 1, 1, id="a pod that draws a batch"),
        pytest.param({"queueLength": 24}, 24, 24, 1, 2, id="and another batch"),
        pytest.param({"minReplicaCount": 2}, 0, 0, 5, 2, id="pods that stay without work"),
        pytest.param({"scaleOnInFlight": False, "queueLength": 1}, 2, 8, 4, 4, id="waiting tasks alone count"),
        pytest.param({"scaleOnInFlight": False, "queueLength": 1}, 6, 8, 4, 6, id="and call for more"),
    ],
)
def test_settings_change_how_many_are_wanted(scaled, *, settings, waiting, in_flight, pods, wanted):
    assert scaled(**settings).wanted(waiting=waiting, in_flight=in_flight, pods=pods) == wanted


@pytest.mark.parametrize("queue_length", [1, 10, 999, 1000])
@pytest.mark.parametrize("counted", [True, False])
def test_one_task_starts_a_pod_the_last_stays_while_it_works_and_no_working_pod_is_one_too_many(
    scaled, queue_length, counted
):
    autoscaler = scaled(queueLength=queue_length, scaleOnInFlight=counted)
    assert autoscaler.is_active(waiting=1, in_flight=0, pods=0)
    assert not autoscaler.is_active(waiting=0, in_flight=0, pods=0)
    assert autoscaler.is_active(waiting=0, in_flight=1, pods=1)
    assert not autoscaler.is_active(waiting=0, in_flight=0, pods=1)
    for pods in range(1, 21):
        for busy, ahead, waiting in itertools.product(range(pods + 1), (0, 1, 7), (0, 1, 300)):
            held = busy * (1 + ahead)
            assert autoscaler.wanted(waiting=waiting, in_flight=held, pods=pods) >= busy


@pytest.mark.parametrize("pods", [0, 5])
def test_two_readings_that_do_not_fit_each_other_call_for_no_negative_number(scaled, pods):
    """The queue is read twice, and tasks come between."""
    assert scaled().of_readings(total=10, waiting=12, pods=pods) == 1000


@pytest.mark.parametrize(
    ("wanted", "total", "waiting", "pods", "called_for"),
    [
        pytest.param(7, 300, 300, 0, 7, id="the scaler decides, not the tasks' number"),
        pytest.param(0, 0, 0, 3, 0, id="nothing to do"),
        pytest.param(2, 8, 0, 4, 4, id="more pods work than it wants"),
        pytest.param(None, 40, 40, 1, 4, id="the scaler is away: the tasks' number decides"),
        pytest.param(None, 8, 0, 4, 4, id="the scaler is away: working pods stay"),
        pytest.param(None, 0, 0, 4, 0, id="the scaler is away, and nothing is to do"),
        pytest.param(None, None, None, 0, 0, id="nothing can be read: no pod starts"),
        pytest.param(None, None, None, 5, 5, id="nothing can be read: all pods stay"),
        pytest.param(9, None, None, 5, 9, id="KEDA cannot read the queue, the scaler can: more pods may start"),
        pytest.param(1, None, None, 5, 5, id="KEDA cannot read the queue, the scaler can: none is taken"),
    ],
)
def test_the_scaler_says_how_many_pods_work_calls_for_and_the_tasks_number_stands_in(
    scaled, *, wanted, total, waiting, pods, called_for
):
    autoscaler = scaled(scalerUrl=SCALER_URL)
    assert autoscaler.of_readings(wanted=wanted, total=total, waiting=waiting, pods=pods) == 1000 * called_for


def test_the_scaler_is_asked_with_the_runtimes_settings(helm):
    scaling = {"scalerUrl": SCALER_URL, "maxReplicaCount": 8, "targetWaitSeconds": 20, "secondsPerJob": 0.5}
    spec = helm.template(merged(AWS, at("runtime.scaling", scaling)))["ScaledObject"]["spec"]
    [trigger] = [one for one in spec["triggers"] if one["name"] == "wanted"]
    url = f"{SCALER_URL}?min=0&max=8&targetWaitSeconds=20&secondsPerJob=0.5"
    assert trigger["metadata"] == {"url": url, "valueLocation": "pods", "targetValue": "1"}
    assert spec["fallback"]["behavior"] == "scalingModifiers"
    assert spec["fallback"]["replicas"] > 0, "KEDA would remove the last pods after a failure"


@pytest.mark.parametrize(("cooldown", "kept"), [(60, 15), (10, 10), (7200, 15)])
def test_pods_that_the_scaler_wants_are_all_ordered_and_others_stay_for_one_period(helm, cooldown, kept):
    scaling = {"scalerUrl": SCALER_URL, "cooldownPeriod": cooldown}
    advanced = helm.template(merged(AWS, at("runtime.scaling", scaling)))["ScaledObject"]["spec"]["advanced"]
    behavior = advanced["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == kept
    assert behavior["scaleUp"]["tolerance"] == "0"


def test_without_a_scaler_a_failure_is_no_reading(static):
    assert "fallback" not in static["ScaledObject"]["spec"]


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_the_pods_counted_are_the_deployments(releases, name):
    labels = releases[name]["Deployment"]["spec"]["selector"]["matchLabels"]
    [trigger] = [one for one in releases[name]["ScaledObject"]["spec"]["triggers"] if one["name"] == "pods"]
    assert dict(each.split("=") for each in trigger["metadata"]["podSelector"].split(",")) == labels


def test_one_queue_is_read_twice_and_its_formula_has_no_sum(static):
    spec = static["ScaledObject"]["spec"]
    formula = spec["advanced"]["scalingModifiers"]["formula"]
    assert formula == "max(total / 10, min(total - waiting, pods))"
    assert [each["name"] for each in spec["triggers"]] == ["total", "waiting", "pods"]


@pytest.mark.parametrize(
    ("high", "normal", "low", "wanted"),
    [
        pytest.param((40, 0), (0, 0), (0, 0), 4, id="one queue alone"),
        pytest.param((10, 0), (20, 0), (10, 0), 4, id="all queues together"),
        pytest.param((0, 2), (0, 3), (0, 2), 7, id="each working pod stays, whichever queue its task is of"),
        pytest.param((0, 0), (0, 0), (1, 0), 1, id="one task of low priority"),
    ],
)
def test_tasks_of_all_priorities_call_for_pods_together(helm, high, normal, low, wanted):
    """Each is how many wait, and how many are in flight."""
    queues = {"sqsHighQueueUrl": f"{QUEUE}-high", "sqsLowQueueUrl": f"{QUEUE}-low"}
    spec = helm.template(merged(AWS, at("runtime.queueAgent", queues)))["ScaledObject"]["spec"]
    read = {f"waiting{end}": queue[0] for end, queue in (("_high", high), ("", normal), ("_low", low))}
    read |= {f"total{end}": sum(queue) for end, queue in (("_high", high), ("", normal), ("_low", low))}
    triggers = {each["name"]: each["metadata"] for each in spec["triggers"]}
    assert triggers.keys() == {*read, "pods"}
    away = helm.template(merged(AWS, at("runtime", {"queueAgent": queues, "scaling": {"scalerUrl": SCALER_URL}})))
    without = Autoscaler(away["ScaledObject"]["spec"])
    assert without.of_readings(**read, pods=7, wanted=None) == Autoscaler(spec).of_readings(**read, pods=7)
    assert without.of_readings(**dict.fromkeys(read), pods=7, wanted=None) == 7000
    assert {triggers[name]["queueURL"] for name in ("total_low", "waiting_low")} == {f"{QUEUE}-low"}
    assert [triggers[name]["scaleOnInFlight"] for name in ("total_high", "waiting_high")] == ["true", "false"]
    milli = Autoscaler(spec).of_readings(**read, pods=7)
    assert math.ceil(milli / 1000) == wanted


@pytest.mark.parametrize("settings", [{}, {"queueLength": 4}, {"scaleOnInFlight": False}])
def test_simulations_want_what_the_formula_wants(scaled, settings):
    chart = scaled(**settings)
    simulated = Depth(settings.get("queueLength", 10), counts_in_flight=settings.get("scaleOnInFlight", True))
    for waiting, in_flight, pods in itertools.product((0, 3, 50), (0, 1, 8), (0, 2, 20)):
        reading = Reading(0, waiting, in_flight, ready=0, devices=0, job_s=None)
        assert int(simulated(reading, pods) * 1000) == chart._milli(waiting, in_flight, pods)


@pytest.mark.parametrize("scaler_url", ["", SCALER_URL])
@pytest.mark.parametrize("cooldown", [20, 60, 7200])
def test_simulations_follow_the_charts_rules(helm, cooldown, scaler_url):
    values = {"cooldownPeriod": cooldown, "maxReplicaCount": 7, "scalerUrl": scaler_url}
    spec = helm.template(merged(AWS, at("runtime.scaling", values)))["ScaledObject"]["spec"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    policies = tuple(ScalingPolicy(one["type"], one["value"], one["periodSeconds"]) for one in up["policies"])
    assert Autoscaling(max_pods=7, cooldown_s=cooldown, has_scaler=bool(scaler_url)).rules == (
        ScalingRules(
            policies, up.get("stabilizationWindowSeconds", 0), tolerance=float(up.get("tolerance", TOLERANCE))
        ),
        ScalingRules(DEFAULT_DOWN.policies, down["stabilizationWindowSeconds"]),
    )
