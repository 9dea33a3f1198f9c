"""How fast nodes fill their volumes, so that none is refused when all start at the same time."""

import pytest

from configuration.config import ConfigError, parse_config
from configuration.volume_filling import REGION_MIB_S, Filling, open_rate

SNAPSHOT = "snap-0123456789abcdef0"


def runtime(name, most, rate=None, *, snapshot=SNAPSHOT, karpenter=True, scaling=True, **more):
    volume = {"snapshotID": snapshot, "volumeInitializationRate": rate}
    values = {
        "karpenter": {"enabled": karpenter, "nodeTemplate": {"dataVolume": volume}},
        "runtime": {"replicas": 3, "scaling": {"enabled": scaling, "maxReplicaCount": most}},
    }
    return {"name": name, "namespace": name, "type": "comfyui", "extraValues": values, **more}


def config(*runtimes):
    return parse_config({"stackName": "s", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": list(runtimes)})


def rates(*runtimes):
    """The rate of nodes whose runtime sets none, and where a warning stands."""
    found = config(*runtimes)
    return open_rate(found.fillings.values()), [one.pointer for one in found.warnings if "EBS" in one.detail]


@pytest.mark.parametrize(
    ("most", "rate"), [(1, 300), (16, 300), (17, 294), (20, 250), (25, 200), (49, 102), (50, 100), (51, 0), (200, 0)]
)
def test_all_nodes_can_start_at_the_same_time_at_the_fastest_rate_that_allows_it(most, rate):
    assert rates(runtime("a", most)) == (rate, [])
    assert most * rate <= REGION_MIB_S


def test_all_runtimes_share_what_the_region_has():
    assert rates(runtime("a", 10), runtime("b", 15)) == (200, [])


@pytest.mark.parametrize("other", [{"snapshot": ""}, {"karpenter": False}])
def test_runtimes_that_fill_no_volume_from_a_snapshot_take_no_share(other):
    assert rates(runtime("a", 20), runtime("b", 100, **other)) == (250, [])


def test_a_foreign_chart_takes_no_share():
    foreign = {"name": "b", "namespace": "b", "type": "comfyui", "chartRepository": "oci://r/c", "chartVersion": "1"}
    assert rates(runtime("a", 20), foreign) == (250, [])


def test_a_runtime_with_a_fixed_number_of_pods_counts_those():
    assert rates(runtime("a", 100, scaling=False)) == (300, [])


def test_what_one_runtime_is_given_is_not_there_for_the_others():
    assert rates(runtime("a", 10, 300), runtime("b", 10)) == (200, [])
    assert rates(runtime("a", 10, 0), runtime("b", 25)) == (200, [])


def test_rates_that_ask_for_more_than_there_is_are_warned_of_where_they_stand():
    rate, fields = rates(runtime("a", 10, 300), runtime("b", 10, 300), runtime("c", 5), runtime("d", 50, 0))
    assert rate == 0
    at = "extraValues.karpenter.nodeTemplate.dataVolume.volumeInitializationRate"
    assert fields == [f"modelsRuntime[0].{at}", f"modelsRuntime[1].{at}"]


@pytest.mark.parametrize("rate", [-1, 1, 99, 301])
def test_a_rate_that_ebs_does_not_offer_is_a_fault(rate):
    with pytest.raises(ConfigError, match="volumeInitializationRate"):
        config(runtime("a", 1, rate))


def test_nobody_shares_nothing():
    assert open_rate([]) == 300
    assert open_rate([Filling(nodes=100, rate=300)]) == 0
