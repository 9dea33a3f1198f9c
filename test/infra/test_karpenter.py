"""Karpenter: its charts, its rights and how it hears of interruptions, as the template says it."""

import json

import pytest
from infrakit.cluster import MIRROR, NAME, closed_cluster, open_cluster
from infrakit.stacks import spelled

from cdk.versions import KARPENTER

_OWNED = {f"aws:ResourceTag/kubernetes.io/cluster/{NAME}": "owned"}
_INLINE_LIMIT = 10_240
"""Characters of all inline policies of a role (IAM's quotas)."""


@pytest.fixture(scope="module")
def cluster():
    return open_cluster()


@pytest.fixture(scope="module")
def statements(cluster):
    return cluster.statements(cluster.identity("karpenter"))


@pytest.fixture(scope="module")
def queue(cluster):
    """Logical id and properties of the interruption queue."""
    [name] = [name for name in cluster.of_type("AWS::SQS::Queue") if "Interruption" in name]
    return name, cluster.template["Resources"][name]["Properties"]


def _chart(synthesized, name):
    return synthesized.only("Custom::AWSCDK-EKS-HelmChart", Chart=name)


def _values(synthesized):
    return json.loads(spelled(_chart(synthesized, "karpenter")[1]["Properties"]["Values"]))


def _with(statements, *actions):
    """Statements that grant one of these actions."""
    return [
        statement
        for statement in statements
        if set(actions) & set([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]


def _resources(statement):
    found = statement["Resource"]
    return [spelled(one) for one in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize("chart", ["karpenter", "karpenter-crd"])
def test_charts_come_in_the_pinned_version_from_where_karpenter_publishes_them(cluster, chart):
    properties = _chart(cluster, chart)[1]["Properties"]
    assert properties["Version"] == KARPENTER.version
    assert properties["Repository"] == f"oci://public.ecr.aws/karpenter/{chart}"


def test_resource_types_are_there_before_the_controller_and_go_after_it(cluster):
    assert _chart(cluster, "karpenter-crd")[0] in cluster.needs(_chart(cluster, "karpenter")[0])


def test_the_controller_runs_twice_on_the_clusters_own_nodes(cluster):
    values = _values(cluster)
    assert values["replicas"] == 2
    assert set(values["controller"]["resources"]["requests"]) == {"cpu", "memory"}


def test_the_controller_knows_its_cluster_and_its_queue(cluster, queue):
    assert _values(cluster)["settings"] == {
        "clusterName": NAME,
        "interruptionQueue": f"${{{queue[0]}.QueueName}}",
    }


def test_charts_and_image_come_from_the_mirror_where_there_is_one():
    mirrored = closed_cluster()
    assert _chart(mirrored, "karpenter")[1]["Properties"]["Repository"] == f"oci://{MIRROR}/charts/karpenter"
    assert _chart(mirrored, "karpenter-crd")[1]["Properties"]["Repository"] == f"oci://{MIRROR}/charts/karpenter-crd"
    assert _values(mirrored)["controller"]["image"] == {
        "repository": f"{MIRROR}/karpenter/controller",
        "digest": "",
    }


def test_the_controller_goes_before_everything_that_it_needs_to_end_nodes(cluster):
    needs = cluster.needs(_chart(cluster, "karpenter")[0])
    identity = cluster.only("AWS::EKS::PodIdentityAssociation", ServiceAccount="karpenter")[0]
    access = cluster.only("AWS::EKS::AccessEntry", Type="EC2_LINUX")[0]
    policies = [name for name in cluster.of_type("AWS::IAM::Policy") if name.startswith("KarpenterIdentity")]
    assert {identity, access, *policies} <= needs
    assert len(policies) == 1


def test_nodes_of_karpenter_join_the_cluster(cluster):
    entry = cluster.only("AWS::EKS::AccessEntry", Type="EC2_LINUX")[1]["Properties"]
    assert entry["PrincipalArn"]["Fn::GetAtt"][0].startswith("KarpenterNodeRole")
    assert entry["AccessPolicies"] == []


def test_the_controller_gives_nodes_no_role_but_theirs_and_only_to_ec2(statements):
    [passing] = _with(statements, "iam:PassRole")
    assert passing["Resource"]["Fn::GetAtt"][0].startswith("KarpenterNodeRole")
    service = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert service == {"Fn::Join": ["", ["ec2.", {"Ref": "AWS::URLSuffix"}]]}


@pytest.mark.parametrize(
    "action",
    [
        "ec2:TerminateInstances",
        "ec2:DeleteLaunchTemplate",
        "iam:AddRoleToInstanceProfile",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:DeleteInstanceProfile",
    ],
)
def test_the_controller_touches_nothing_of_another_cluster(statements, action):
    found = _with(statements, action)
    assert found
    for statement in found:
        assert _OWNED.items() <= statement["Condition"]["StringEquals"].items()
        assert "*" in statement["Condition"]["StringLike"].values()


@pytest.mark.parametrize("kind", ["instance", "fleet", "volume", "launch-template"])
def test_what_the_controller_makes_carries_the_clusters_tags(statements, kind):
    made = [
        statement
        for statement in _with(statements, "ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate")
        if any(f":{kind}/" in resource for resource in _resources(statement))
    ]
    assert made
    for statement in made:
        tags = statement["Condition"]["StringEquals"]
        asked = {f"aws:RequestTag/kubernetes.io/cluster/{NAME}": "owned", "aws:RequestTag/eks:eks-cluster-name": NAME}
        assert asked.items() <= tags.items() or _OWNED.items() <= tags.items()


def test_the_controller_tags_only_what_it_makes_or_what_is_the_clusters(statements):
    while_making, own = _with(statements, "ec2:CreateTags")
    assert while_making["Condition"]["StringEquals"]["ec2:CreateAction"] == [
        "RunInstances",
        "CreateFleet",
        "CreateLaunchTemplate",
    ]
    assert _OWNED.items() <= own["Condition"]["StringEquals"].items()
    assert own["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] == [
        "eks:eks-cluster-name",
        "karpenter.sh/nodeclaim",
        "Name",
    ]


def test_a_new_instance_profile_carries_the_clusters_tags(statements):
    [making] = _with(statements, "iam:CreateInstanceProfile")
    assert making["Condition"]["StringEquals"] == {
        f"aws:RequestTag/kubernetes.io/cluster/{NAME}": "owned",
        "aws:RequestTag/eks:eks-cluster-name": NAME,
        "aws:RequestTag/topology.kubernetes.io/region": {"Ref": "AWS::Region"},
    }


def test_what_is_granted_on_everything_only_looks(statements):
    everywhere = [statement for statement in statements if statement["Resource"] == "*"]
    actions = [
        action
        for one in everywhere
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    ]
    assert actions
    assert all(action.partition(":")[2].startswith(("Describe", "List", "Get")) for action in actions)


def test_all_rights_fit_into_one_role(statements):
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    assert len(document) < _INLINE_LIMIT


_EVENTS = {
    "EC2 Spot Instance Interruption Warning": "aws.ec2",
    "EC2 Instance Rebalance Recommendation": "aws.ec2",
    "EC2 Instance State-change Notification": "aws.ec2",
    "EC2 Capacity Reservation Instance Interruption Warning": "aws.ec2",
    "AWS Health Event": "aws.health",
}


@pytest.mark.parametrize(("event", "source"), _EVENTS.items())
def test_the_controller_hears_of_each_interruption(cluster, queue, event, source):
    _, rule = cluster.only("AWS::Events::Rule", EventPattern={"source": [source], "detail-type": [event]})
    assert [target["Arn"]["Fn::GetAtt"][0] for target in rule["Properties"]["Targets"]] == [queue[0]]
    assert rule["Properties"]["State"] == "ENABLED"


def test_the_queue_takes_events_of_these_rules_only(cluster, queue):
    policy = _queue_policy(cluster, queue[0])
    allowed = [statement for statement in policy if statement["Effect"] == "Allow"]
    rules = {statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::GetAtt"][0] for statement in allowed}
    assert rules == set(cluster.of_type("AWS::Events::Rule"))
    assert all(statement["Principal"] == {"Service": "events.amazonaws.com"} for statement in allowed)


def test_the_queue_is_encrypted_and_refuses_plain_http(cluster, queue):
    assert queue[1]["SqsManagedSseEnabled"] is True
    [denied] = [statement for statement in _queue_policy(cluster, queue[0]) if statement["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_warnings_are_forgotten_after_five_minutes(queue):
    assert queue[1]["MessageRetentionPeriod"] == 300


def _queue_policy(cluster, queue):
    [policy] = [
        policy["Properties"]
        for policy in cluster.of_type("AWS::SQS::QueuePolicy").values()
        if policy["Properties"]["Queues"] == [{"Ref": queue}]
    ]
    return policy["PolicyDocument"]["Statement"]


def test_the_controller_reads_its_own_queue_only(statements, queue):
    [reading] = _with(statements, "sqs:ReceiveMessage")
    assert reading["Resource"] == {"Fn::GetAtt": [queue[0], "Arn"]}
    assert sorted(reading["Action"]) == ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
