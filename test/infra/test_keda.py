"""KEDA: its chart and its rights, as the template says it."""

import json

import pytest
from infrakit.cluster import MIRROR, NAME, OTLP_ENDPOINT, closed_cluster, open_cluster

from cdk.versions import KEDA


@pytest.fixture(scope="module")
def cluster():
    return open_cluster()


def _release(synthesized):
    name, release = synthesized.only("Custom::AWSCDK-EKS-HelmChart", Chart="keda")
    return name, release["Properties"]


def test_the_chart_comes_in_the_pinned_version_from_where_keda_publishes_it(cluster):
    _, release = _release(cluster)
    assert (release["Version"], release["Repository"]) == (KEDA.version, "https://kedacore.github.io/charts")


def test_chart_and_images_come_from_the_mirror_where_there_is_one():
    _, release = _release(closed_cluster())
    assert release["Repository"] == f"oci://{MIRROR}/charts/keda"
    assert json.loads(release["Values"])["global"]["image"]["registry"] == MIRROR


def test_the_operator_looks_at_the_depth_of_watched_queues_and_does_nothing_else(cluster):
    [statement] = cluster.statements(cluster.identity("keda-operator"))
    assert statement["Action"] == "sqs:GetQueueAttributes"
    assert statement["Resource"] == "arn:aws:sqs:us-east-1:123456789012:watched"


def test_the_operators_pods_are_those_that_have_its_rights(cluster):
    _, release = _release(cluster)
    _, association = cluster.only("AWS::EKS::PodIdentityAssociation", ServiceAccount="keda-operator")
    assert json.loads(release["Values"])["serviceAccount"]["operator"]["name"] == "keda-operator"
    assert release["Namespace"] == association["Properties"]["Namespace"]


def test_the_operator_has_its_rights_before_it_starts(cluster):
    name, _ = _release(cluster)
    association, _ = cluster.only("AWS::EKS::PodIdentityAssociation", ServiceAccount="keda-operator")
    policies = [policy for policy in cluster.of_type("AWS::IAM::Policy") if policy.startswith("KedaIdentity")]
    assert policies
    assert {association, *policies} <= cluster.needs(name)


@pytest.mark.parametrize("part", ["operator", "metricsServer"])
def test_scaling_outlives_a_node(cluster, part):
    _, release = _release(cluster)
    assert json.loads(release["Values"])[part]["replicaCount"] == 2


def test_the_operator_knows_its_cluster(cluster):
    _, release = _release(cluster)
    assert json.loads(release["Values"])["clusterName"] == NAME


def test_the_operator_tells_the_collector_what_it_counts(cluster):
    _, release = _release(cluster)
    told = json.loads(release["Values"])["opentelemetry"]
    assert told == {"operator": {"enabled": True}, "collector": {"uri": OTLP_ENDPOINT}}


@pytest.mark.parametrize(
    ("part", "app"), [("operator", "keda-operator"), ("metricsServer", "keda-operator-metrics-apiserver")]
)
def test_both_replicas_stand_on_nodes_of_their_own_where_there_are_two(cluster, part, app):
    _, release = _release(cluster)
    [apart] = json.loads(release["Values"])["topologySpreadConstraints"][part]
    assert (apart["topologyKey"], apart["maxSkew"]) == ("kubernetes.io/hostname", 1)
    assert apart["labelSelector"] == {"matchLabels": {"app": app}}
    assert apart["whenUnsatisfiable"] == "ScheduleAnyway"
