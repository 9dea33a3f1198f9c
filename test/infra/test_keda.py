"""KEDA: its chart and its rights, as the template says it."""

import pytest
from infrakit.stacks import MIRROR, NAME

from cdk.versions import KEDA


@pytest.fixture(scope="module")
def release(stack):
    return stack.releases["keda"]


def test_the_chart_comes_in_the_pinned_version_from_where_keda_publishes_it(release):
    assert (release["Version"], release["Repository"]) == (KEDA.version, "https://kedacore.github.io/charts")


def test_chart_and_images_come_from_the_mirror_where_there_is_one(configured):
    release = configured.releases["keda"]
    assert release["Repository"] == f"oci://{MIRROR}/charts/keda"
    assert release["Values"]["global"]["image"]["registry"] == MIRROR


def test_the_operator_looks_at_the_depth_of_the_runtimes_queues_and_does_nothing_else(stack):
    statements = stack.statements(stack.identity("keda-operator"))
    assert {one["Action"] for one in statements} == {"sqs:GetQueueAttributes"}
    watched = {one["Resource"]["Fn::GetAtt"][0] for one in statements}
    assert watched == {"Queuestatic", "QueuedynDash1", "Queuecomfy", "Queueold"}


def test_the_operators_pods_have_its_rights_before_they_start(stack, release):
    name, association = stack.only("AWS::EKS::PodIdentityAssociation", ServiceAccount="keda-operator")
    assert release["Values"]["serviceAccount"]["operator"]["name"] == "keda-operator"
    assert release["Namespace"] == association["Namespace"]
    policies = {policy for policy in stack.of_type("AWS::IAM::Policy") if policy.startswith("KedaIdentity")}
    assert policies
    assert {name, *policies} <= stack.needs(release["id"])


def test_the_operator_knows_its_cluster_and_sends_the_collector_what_it_counts(release):
    assert release["Values"]["clusterName"] == NAME
    assert release["Values"]["opentelemetry"] == {
        "operator": {"enabled": True},
        "collector": {"uri": "http://collector.observability.svc:4318"},
    }


@pytest.mark.parametrize(
    ("part", "app"), [("operator", "keda-operator"), ("metricsServer", "keda-operator-metrics-apiserver")]
)
def test_scaling_outlives_a_node(release, part, app):
    values = release["Values"]
    assert values[part]["replicaCount"] == 2
    [apart] = values["topologySpreadConstraints"][part]
    assert (apart["topologyKey"], apart["maxSkew"]) == ("kubernetes.io/hostname", 1)
    assert apart["labelSelector"] == {"matchLabels": {"app": app}}
    assert apart["whenUnsatisfiable"] == "ScheduleAnyway"
