"""Karpenter: its charts, its rights and how it hears of interruptions, as the template says it."""

import json

import pytest
from infrakit.stacks import HELM_CHART, MIRROR, NAME, listed, spelled

from cdk.versions import KARPENTER

OWNED = {f"aws:ResourceTag/kubernetes.io/cluster/{NAME}": "owned"}
NEW = {f"aws:RequestTag/kubernetes.io/cluster/{NAME}": "owned", "aws:RequestTag/eks:eks-cluster-name": NAME}
INLINE_LIMIT = 10_240
"""Characters of all inline policies of a role (IAM's quotas)."""
EVENTS = {
    "EC2 Spot Instance Interruption Warning": "aws.ec2",
    "EC2 Instance Rebalance Recommendation": "aws.ec2",
    "EC2 Instance State-change Notification": "aws.ec2",
    "EC2 Capacity Reservation Instance Interruption Warning": "aws.ec2",
    "AWS Health Event": "aws.health",
}


@pytest.fixture(scope="module")
def statements(stack):
    return stack.statements(stack.identity("karpenter"))


@pytest.fixture(scope="module")
def queue(stack):
    """Logical id and properties of the interruption queue."""
    [found] = [one for one in stack.properties("AWS::SQS::Queue").items() if "Interruption" in one[0]]
    return found


def granting(statements, *actions):
    """Statements that grant one of these actions."""
    return [one for one in statements if set(actions) & set(listed(one["Action"]))]


@pytest.mark.parametrize("chart", ["karpenter", "karpenter-crd"])
def test_charts_come_in_the_pinned_version_from_their_publisher_or_from_the_mirror(stack, configured, chart):
    for each, repository in (
        (stack, f"oci://public.ecr.aws/karpenter/{chart}"),
        (configured, f"oci://{MIRROR}/charts/{chart}"),
    ):
        release = each.only(HELM_CHART, Chart=chart)[1]
        assert (release["Version"], release["Repository"]) == (KARPENTER.version, repository)


def test_the_image_comes_from_the_mirror_where_there_is_one(configured):
    image = configured.releases["karpenter"]["Values"]["controller"]["image"]
    assert image == {"repository": f"{MIRROR}/karpenter/controller", "digest": ""}


def test_the_controller_runs_twice_and_knows_its_cluster_and_its_queue(stack, queue):
    values = stack.releases["karpenter"]["Values"]
    assert values["replicas"] == 2
    assert values["settings"] == {"clusterName": NAME, "interruptionQueue": f"${{{queue[0]}.QueueName}}"}
    assert set(values["controller"]["resources"]["requests"]) == {"cpu", "memory"}


def test_the_controller_goes_before_everything_that_it_needs_to_end_nodes(stack):
    needs = stack.needs(stack.releases["karpenter"]["id"])
    policies = {name for name in stack.of_type("AWS::IAM::Policy") if name.startswith("KarpenterIdentity")}
    assert len(policies) == 1
    assert needs >= policies | {
        stack.releases["karpenter-crd"]["id"],
        stack.only("AWS::EKS::PodIdentityAssociation", ServiceAccount="karpenter")[0],
        stack.only("AWS::EKS::AccessEntry", Type="EC2_LINUX")[0],
    }


def test_nodes_of_karpenter_join_the_cluster(stack):
    entry = stack.only("AWS::EKS::AccessEntry", Type="EC2_LINUX")[1]
    assert entry["PrincipalArn"]["Fn::GetAtt"][0].startswith("KarpenterNodeRole")
    assert entry["AccessPolicies"] == []


def test_the_controller_gives_nodes_no_role_but_theirs_and_only_to_ec2(statements):
    [passing] = granting(statements, "iam:PassRole")
    assert passing["Resource"]["Fn::GetAtt"][0].startswith("KarpenterNodeRole")
    service = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert service == {"Fn::Join": ["", ["ec2.", {"Ref": "AWS::URLSuffix"}]]}


@pytest.mark.parametrize(
    "action",
    [
        *("ec2:TerminateInstances", "ec2:DeleteLaunchTemplate", "iam:AddRoleToInstanceProfile"),
        *("iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"),
    ],
)
def test_the_controller_touches_nothing_of_another_cluster(statements, action):
    found = granting(statements, action)
    assert found
    for statement in found:
        assert OWNED.items() <= statement["Condition"]["StringEquals"].items()
        assert "*" in statement["Condition"]["StringLike"].values()


@pytest.mark.parametrize("kind", ["instance", "fleet", "volume", "launch-template"])
def test_what_the_controller_makes_carries_the_clusters_tags(statements, kind):
    made = [
        statement
        for statement in granting(statements, "ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate")
        if any(f":{kind}/" in spelled(resource) for resource in listed(statement["Resource"]))
    ]
    assert made
    for statement in made:
        tags = statement["Condition"]["StringEquals"]
        assert NEW.items() <= tags.items() or OWNED.items() <= tags.items()


def test_the_controller_tags_only_what_it_makes_or_what_is_the_clusters(statements):
    while_making, own = granting(statements, "ec2:CreateTags")
    assert while_making["Condition"]["StringEquals"]["ec2:CreateAction"] == [
        *("RunInstances", "CreateFleet", "CreateLaunchTemplate"),
    ]
    assert OWNED.items() <= own["Condition"]["StringEquals"].items()
    assert own["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] == [
        *("eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"),
    ]
    [making] = granting(statements, "iam:CreateInstanceProfile")
    region = {"aws:RequestTag/topology.kubernetes.io/region": {"Ref": "AWS::Region"}}
    assert making["Condition"]["StringEquals"] == {**NEW, **region}


def test_what_is_granted_on_everything_only_looks(statements):
    actions = [action for one in statements if one["Resource"] == "*" for action in listed(one["Action"])]
    assert actions
    assert all(action.partition(":")[2].startswith(("Describe", "List", "Get")) for action in actions)


def test_all_rights_fit_into_one_role(statements):
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    assert len(document) < INLINE_LIMIT


@pytest.mark.parametrize(("event", "source"), EVENTS.items())
def test_the_controller_hears_of_each_interruption(stack, queue, event, source):
    _, rule = stack.only("AWS::Events::Rule", EventPattern={"source": [source], "detail-type": [event]})
    assert [target["Arn"]["Fn::GetAtt"][0] for target in rule["Targets"]] == [queue[0]]
    assert rule["State"] == "ENABLED"


def test_the_queue_is_filled_by_these_rules_and_read_by_the_controller_alone(stack, statements, queue):
    name, properties = queue
    assert (properties["SqsManagedSseEnabled"], properties["MessageRetentionPeriod"]) == (True, 300)
    _, policy = stack.only("AWS::SQS::QueuePolicy", Queues=[{"Ref": name}])
    allowed = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    sources = {one["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::GetAtt"][0] for one in allowed}
    assert sources == {one for one, rule in stack.properties("AWS::Events::Rule").items() if "EventPattern" in rule}
    assert all(one["Principal"] == {"Service": "events.amazonaws.com"} for one in allowed)
    [reading] = granting(statements, "sqs:ReceiveMessage")
    assert reading["Resource"] == {"Fn::GetAtt": [name, "Arn"]}
    assert sorted(reading["Action"]) == ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
