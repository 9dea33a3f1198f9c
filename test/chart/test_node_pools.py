"""The NodePools of a runtime: one of all its instance types, and one of those that are preferred."""

import pytest
from chartkit import AWS

from test.kit.charts import merged

KIND, TYPE, CAPACITY = "NodePool", "node.kubernetes.io/instance-type", "karpenter.sh/capacity-type"
TYPES = ["g4dn.xlarge", "g6.xlarge", "g5.xlarge"]


def pools_of(helm, more=None, release="sdruntime", namespace="art", **provisioner):
    """The release, and its NodePools in the order in which Karpenter tries them (provisioner.go, OrderByWeight)."""
    values = merged(AWS, {"karpenter": {"provisioner": {"instanceType": TYPES, **provisioner}}}, more or {})
    found = helm.template(values, release=release, namespace=namespace)
    pools = [document for document in found.all if document["kind"] == KIND]
    return found, sorted(pools, key=lambda pool: -pool["spec"].get("weight", 0))


def values_of(pool, key):
    (found,) = [one for one in pool["spec"]["template"]["spec"]["requirements"] if one["key"] == key]
    return found["values"]


def test_preferred_types_come_first_and_the_pool_of_all_types_stays_as_it_is_without_them(helm):
    _, (alone,) = pools_of(helm)
    _, (preferred, every) = pools_of(helm, preferredInstanceType=["g6.xlarge", "g5.xlarge"])
    assert every == alone
    assert (preferred["metadata"]["name"], every["metadata"]["name"]) == ("art-sdruntime.preferred", "art-sdruntime")
    assert values_of(preferred, TYPE) == ["g6.xlarge", "g5.xlarge"]
    assert values_of(every, TYPE) == TYPES
    differs = {key for key, value in preferred["spec"].items() if value != every["spec"].get(key)}
    assert differs == {"weight", "template"}


@pytest.mark.parametrize(
    ("on_demand", "spot", "of_preferred", "of_every"),
    [
        (True, True, ["spot"], ["on-demand", "spot"]),
        (False, True, ["spot"], ["spot"]),
        (True, False, ["on-demand"], ["on-demand"]),
    ],
)
def test_another_types_spot_goes_before_an_instance_on_demand(helm, on_demand, spot, of_preferred, of_every):
    allowed = {"onDemand": on_demand, "spot": spot}
    _, pools = pools_of(helm, preferredInstanceType=["g5.xlarge"], capacityType=allowed)
    assert [values_of(pool, CAPACITY) for pool in pools] == [of_preferred, of_every]


def test_all_pods_run_on_nodes_of_the_two_pools_alone_and_whether_types_are_preferred_changes_no_pod(helm):
    warm = {"runtime": {"scaling": {"warm": {"nodes": 1}}}}
    release, pools = pools_of(helm, warm, preferredInstanceType=["g5.xlarge"])
    names = {pool["metadata"]["name"] for pool in pools}
    placed = [one["spec"]["template"]["spec"] for one in release.all if one["kind"] in {"Deployment", "DaemonSet"}]
    for spec in placed:
        (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        (expression,) = term["matchExpressions"]
        assert (expression["key"], expression["operator"]) == ("karpenter.sh/nodepool", "In")
        assert {*expression["values"]} == names
    without, _ = pools_of(helm, warm)
    assert [one for one in without.all if one["kind"] != KIND] == [one for one in release.all if one["kind"] != KIND]


def test_karpenter_takes_both_pools(helm, errors_of_custom_resources):
    _, pools = pools_of(helm, preferredInstanceType=["g5.xlarge"])
    assert list(errors_of_custom_resources(pools)) == [[], []]


def test_no_two_pools_have_a_name_however_long_those_of_their_releases_are(helm):
    namespace, longest = "n" * 60, "r" * 52
    installed = [(f"{longest}a", namespace), (f"{longest}b", namespace), ("a", "art"), ("a-preferred", "art")]
    names = [
        pool["metadata"]["name"]
        for release, where in installed
        for pool in pools_of(helm, release=release, namespace=where, preferredInstanceType=["g5.xlarge"])[1]
    ]
    assert len({*names}) == len(names)
    assert max(map(len, names)) <= 63
