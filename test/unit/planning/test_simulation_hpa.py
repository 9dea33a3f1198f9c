"""HPA's and KEDA's decisions against the tables of their own tests: names and figures, copied as data.

Kubernetes 1.36.3: pkg/controller/podautoscaler/horizontal_test.go and replica_calculator_test.go;
KEDA 2.21.0: pkg/scaling/executor/scale_scaledobjects_test.go.
"""

import json
from pathlib import Path

import pytest

from planning.simulation.hpa import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    HorizontalPodAutoscaler,
    ScalingPolicy,
    ScalingRules,
    replicas_for,
    scale_down_limit,
    scale_up_limit,
)
from planning.simulation.keda import ScaledObject

TABLES = json.loads(Path(__file__).with_name("hpa_tables.json").read_text(encoding="utf-8"))
NOW = 10_000.0
MAX_INT64 = 2**63 - 1


def named(rows):
    return [pytest.param(row[1:], id=row[0]) for row in rows]


def rules(figures, default):
    """``generateScalingRules``: pods and their period, percent and its period, window."""
    if figures is None:
        return default
    pods, pods_s, percent, percent_s, window_s = figures
    policies = [ScalingPolicy("Pods", pods, pods_s)] * bool(pods) + [
        ScalingPolicy("Percent", percent, percent_s)
    ] * bool(percent)
    return ScalingRules(tuple(policies), window_s)


def spread(changes):
    """``generateEventsUniformDistribution``: evenly over the last 120 s."""
    each_s = 120 / max(1, len(changes))
    return [(NOW - 120 + each_s * (place + 0.5), change) for place, change in enumerate(changes)]


@pytest.mark.parametrize(
    ("metric", "target", "replicas", "expected", "tolerances"),
    [
        pytest.param(8600, 2150, 3, 4, {}, id="TestReplicaCalcScaleUpPerPodCMExternal"),
        pytest.param(8600, 2867, 5, 3, {}, id="TestReplicaCalcScaleDownPerPodCMExternal"),
        pytest.param(8600, 2900, 3, 3, {}, id="TestReplicaCalcTolerancePerPodCMExternal"),
        pytest.param(8600, 2800, 3, 4, {"up": 0.01}, id="TestReplicaCalcConfigurableTolerancePerPodCMExternal"),
        pytest.param(MAX_INT64, MAX_INT64, 1, 1, {}, id="TestExternalPerPodMetricUsageOverflow"),
    ],
)
def test_an_external_metric_calls_for_as_many_pods_as_in_kubernetes(metric, target, replicas, expected, tolerances):
    assert replicas_for(metric, target, replicas, **tolerances) == expected


@pytest.mark.parametrize(
    "row",
    named(TABLES["TestScalingWithRules"]),
)
def test_rules_limit_a_change_as_in_kubernetes(row):
    ups, downs, fewest, most, up, down, replicas, wanted, expected = row
    hpa = HorizontalPodAutoscaler(fewest, most, rules(up, DEFAULT_UP), rules(down, DEFAULT_DOWN))
    hpa.ups.extend(spread(ups))
    hpa.downs.extend(spread(downs))
    assert hpa.limited(NOW, replicas, wanted) == expected


@pytest.mark.parametrize(
    "row",
    named(TABLES["TestNormalizeDesiredReplicasWithBehavior"]),
)
def test_windows_steady_a_recommendation_as_in_kubernetes(row):
    recommendations, up_window_s, down_window_s, replicas, wanted, expected = row
    hpa = HorizontalPodAutoscaler(1, 1000, ScalingRules((), up_window_s), ScalingRules((), down_window_s))
    hpa.recommendations.extend((NOW - ago_s, pods) for pods, ago_s in recommendations)
    assert hpa.stabilized(NOW, replicas, wanted) == expected


@pytest.mark.parametrize(
    ("limit", "replicas", "expected"),
    [
        pytest.param(scale_up_limit, 1, 2, id="TestCalculateScaleUpLimitWithScalingRules"),
        pytest.param(scale_down_limit, 5, 3, id="TestCalculateScaleDownLimitWithBehaviors"),
    ],
)
def test_the_smaller_change_applies_where_it_is_selected_as_in_kubernetes(limit, replicas, expected):
    smaller = ScalingRules((ScalingPolicy("Pods", 2, 60), ScalingPolicy("Percent", 50, 60)), 300, "Min")
    assert limit(replicas, [], [], smaller, NOW) == expected


def test_a_percentage_that_stays_is_rounded_down_and_one_that_is_added_up():
    half = ScalingRules((ScalingPolicy("Percent", 50, 15),))
    assert (scale_down_limit(5, [], [], half, NOW), scale_up_limit(5, [], [], half, NOW)) == (2, 8)


def test_the_last_tenth_is_ordered_where_the_rules_have_no_tolerance_and_kept_by_those_that_have():
    exact = ScalingRules(DEFAULT_UP.policies, tolerance=0)
    for up, expected in ((exact, 20), (DEFAULT_UP, 19)):
        assert HorizontalPodAutoscaler(1, 20, up, DEFAULT_DOWN).decide(NOW, 19, lambda: 20) == expected
        assert HorizontalPodAutoscaler(1, 20, up, ScalingRules(DEFAULT_DOWN.policies)).decide(NOW, 20, lambda: 19) == 20


def test_disabled_rules_change_nothing():
    off = ScalingRules(DEFAULT_UP.policies, select="Disabled")
    hpa = HorizontalPodAutoscaler(1, 100, off, off)
    assert (hpa.limited(NOW, 5, 50), hpa.limited(NOW, 5, 1)) == (5, 5)


def test_hpa_does_not_start_the_first_pod_nor_end_the_last():
    hpa = HorizontalPodAutoscaler(1, 20, DEFAULT_UP, ScalingRules(DEFAULT_DOWN.policies))
    assert hpa.decide(NOW, 0, lambda: 50) == 0
    assert hpa.decide(NOW + 15, 1, lambda: 0) == 1


def test_a_change_counts_within_the_period_of_a_rule():
    hpa = HorizontalPodAutoscaler(1, 100, DEFAULT_UP, DEFAULT_DOWN)
    assert hpa.decide(NOW, 1, lambda: 50) == 5
    assert hpa.decide(NOW + 10, 5, lambda: 50) == 5
    assert hpa.decide(NOW + 15.01, 5, lambda: 50) == 10


@pytest.mark.parametrize(
    ("fewest", "replicas", "is_active", "expected"),
    [
        pytest.param(0, 10, False, 0, id="TestScaleToMinReplicasWhenNotActive"),
        pytest.param(5, 1, False, 5, id="TestScaleToMinReplicasFromLowerInitialReplicaCount"),
        pytest.param(0, 0, True, 1, id="TestScaleFromMinReplicasWhenActive"),
    ],
)
def test_a_poll_decides_as_in_keda(fewest, replicas, is_active, expected):
    assert ScaledObject(fewest, cooldown_s=300).poll(NOW, replicas, is_active=is_active) == expected


def test_the_last_pod_goes_once_the_cooldown_is_over():
    scaled = ScaledObject(0, cooldown_s=60)
    assert scaled.poll(NOW, 1, is_active=True) == 1
    assert [scaled.poll(NOW + later_s, 1, is_active=False) for later_s in (2, 60, 62)] == [1, 1, 0]
