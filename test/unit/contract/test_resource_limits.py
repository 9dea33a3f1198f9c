"""Limits of a runtime's nodes against what its pods ask for."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from configuration.chart_values import ChartValues
from configuration.quantities import amount


def values(limits, *, enabled=True, pods=20, **requests):
    return {
        "karpenter": {"enabled": enabled, "provisioner": {"resourceLimits": limits}},
        "runtime": {"scaling": {"maxReplicaCount": pods}, "inferenceApi": {"resources": {"requests": requests}}},
    }


@pytest.mark.parametrize(
    ("limit", "requests"),
    [
        ({"nvidia.com/gpu": 19}, {"nvidia.com/gpu": 1}),
        ({"nvidia.com/gpu": "79"}, {"nvidia.com/gpu": "4"}),
        ({"cpu": 39}, {"cpu": "2000m"}),
        ({"cpu": "39500m"}, {"cpu": 2}),
        ({"memory": "119Gi"}, {"memory": "6Gi"}),
        ({"memory": "0.1Ti", "cpu": 1000}, {"memory": "6144Mi"}),
        ({"memory": "100G"}, {"memory": "6Gi"}),
    ],
)
def test_a_limit_below_what_all_pods_ask_for_is_refused_with_both(limit, requests):
    with pytest.raises(ValidationError) as refused:
        ChartValues.model_validate(values(limit, **requests))
    (resource, given), (asked,) = next(iter(limit.items())), requests.values()
    assert f"{resource} is {given}, too little for 20 pods of {asked} each" in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        values({"nvidia.com/gpu": 20}, **{"nvidia.com/gpu": 1}),
        values({"cpu": 40, "memory": "120Gi"}, cpu="2000m", memory="6Gi"),
        values({"nvidia.com/gpu": 8}, **{"nvidia.com/gpu": 1}, pods=8),
        values({"nvidia.com/gpu": 8}, **{"nvidia.com/gpu": 1}, enabled=False),
        values({"nvidia.com/gpu": 8}, cpu=1),
        values({}, cpu=1),
        values({"cpu": "many"}, cpu=1),
    ],
)
def test_other_limits_are_taken(given):
    ChartValues.model_validate(given)


@pytest.mark.parametrize(
    ("quantity", "number"),
    [(2, "2"), ("2", "2"), (0.5, "0.5"), ("1500m", "1.5"), ("1k", "1000"), ("1Ki", "1024"), ("1.5Gi", "1610612736")],
)
def test_quantities_are_read_as_kubernetes_does(quantity, number):
    assert amount(quantity) == Decimal(number)


@pytest.mark.parametrize("text", ["", "Gi", "-1", "1 Gi", "1gi", "1e", "0x1"])
def test_what_is_no_quantity_is_none(text):
    assert amount(text) is None
