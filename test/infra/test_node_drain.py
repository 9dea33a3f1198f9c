"""Removal leaves no node behind: the handlers of the custom resource against EC2 and IAM in moto."""

import uuid
from types import SimpleNamespace

import pytest
from infrakit.stacks import NAME

from cdk.node_drain_handler import handler


@pytest.fixture
def aws(monkeypatch, deployed):
    """EC2 and IAM in moto, with a cluster and a nodes' role of this test's own."""
    for name, value in deployed.environment("operator").items():
        monkeypatch.setenv(name, value)
    name = f"cluster-{uuid.uuid4().hex[:8]}"
    aws = SimpleNamespace(name=name, ec2=deployed.client("ec2"), iam=deployed.client("iam"))
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    return aws


def launch(aws, **tags):
    """An instance as Karpenter tags it; gives its id."""
    tags = {"eks:eks-cluster-name": aws.name, "karpenter.sh/nodepool": "pool", **tags}
    specification = {
        "ResourceType": "instance",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value],
    }
    launched = aws.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=[specification])
    return launched["Instances"][0]["InstanceId"]


def state(aws, instance):
    found = aws.ec2.describe_instances(InstanceIds=[instance])
    return found["Reservations"][0]["Instances"][0]["State"]["Name"]


def complete(aws, request="Delete", *, overdue=False):
    """Ask once, within Karpenter's time or after it."""
    properties = {"ClusterName": aws.name, "NodeRole": aws.name}
    event = {"RequestType": request, "ResourceProperties": properties, "Data": {"Deadline": 0 if overdue else 2**40}}
    return handler.is_complete(event, None)["IsComplete"]


def test_removal_waits_while_a_node_of_karpenters_runs_or_is_only_stopped_and_goes_on_once_it_has_ended(aws):
    node = launch(aws)
    assert not complete(aws)
    assert state(aws, node) == "running"
    aws.ec2.stop_instances(InstanceIds=[node])
    assert not complete(aws)
    aws.ec2.terminate_instances(InstanceIds=[node])
    assert complete(aws)


@pytest.mark.parametrize("tags", [{"eks:eks-cluster-name": "another"}, {"karpenter.sh/nodepool": ""}])
def test_removal_neither_waits_for_nor_ends_instances_of_others(aws, tags):
    other = launch(aws, **tags)
    assert complete(aws, overdue=True)
    assert state(aws, other) == "running"


def test_nodes_and_then_profiles_that_karpenter_leaves_are_ended_when_its_time_is_up(aws):
    def has_profile():
        return aws.name in str(aws.iam.list_instance_profiles()["InstanceProfiles"])

    nodes = [launch(aws), launch(aws)]
    aws.iam.create_instance_profile(InstanceProfileName=aws.name)
    aws.iam.add_role_to_instance_profile(InstanceProfileName=aws.name, RoleName=aws.name)
    assert not complete(aws, overdue=True)
    assert {state(aws, node) for node in nodes} == {"terminated"}
    assert not complete(aws)  # a profile holds the nodes' role
    assert has_profile()
    assert complete(aws, overdue=True)
    assert not has_profile()


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_deployment_waits_for_nothing(aws, request_type):
    launch(aws)
    assert complete(aws, request_type)


def test_the_resource_keeps_the_clusters_name_and_karpenters_time_begins_when_removal_does(monkeypatch):
    monkeypatch.setattr(handler.time, "time", lambda: 1000.0)
    started = handler.on_event({"RequestType": "Delete", "ResourceProperties": {"ClusterName": NAME}}, None)
    assert started == {"PhysicalResourceId": NAME, "Data": {"Deadline": 1000.0 + handler.KARPENTER_MAY_TAKE_S}}


def test_the_template_names_the_handlers_that_there_are(stack):
    names = [one["Handler"] for one in stack.properties("AWS::Lambda::Function").values()]
    found = {name.partition(".")[2] for name in names if name.startswith("handler.")}
    assert found == {"on_event", "is_complete"}
    assert all(hasattr(handler, name) for name in found)
