"""Removal leaves no node behind: the custom resource in the template, and its handlers against EC2 and IAM in moto."""

import contextlib
import json
import subprocess
import sys
import time

import boto3
import httpx
import pytest
from infrakit.stacks import NAME, listed, spelled

from cdk.node_drain_handler import handler
from local.ports import free_port

_REGION = "us-east-1"
_ROLE = "nodes"
_PROPERTIES = {"ClusterName": NAME, "NodeRole": _ROLE}


@pytest.fixture(scope="module")
def endpoint():
    """moto as a process of its own: the tests below empty it, and others of this process still need theirs."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url)
                break
            time.sleep(0.05)
        yield url
        server.terminate()


@pytest.fixture
def aws(monkeypatch, endpoint):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", _REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
    boto3.client("iam").create_role(RoleName=_ROLE, AssumeRolePolicyDocument="{}")


def _launch(cluster=NAME, **tags):
    """An instance as Karpenter tags it; gives its id."""
    ec2 = boto3.client("ec2")
    tags = {"eks:eks-cluster-name": cluster, "karpenter.sh/nodepool": "pool", **tags}
    specification = {
        "ResourceType": "instance",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value],
    }
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=[specification])
    return launched["Instances"][0]["InstanceId"]


def _state(instance):
    found = boto3.client("ec2").describe_instances(InstanceIds=[instance])
    return found["Reservations"][0]["Instances"][0]["State"]["Name"]


def _make_profile(name="profile"):
    iam = boto3.client("iam")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=_ROLE)


def _profiles():
    return boto3.client("iam").list_instance_profiles()["InstanceProfiles"]


def _complete(request="Delete", *, overdue=False):
    """Ask once, within Karpenter's time or after it."""
    event = {"RequestType": request, "ResourceProperties": _PROPERTIES, "Data": {"Deadline": 0 if overdue else 2**40}}
    return handler.is_complete(event, None)["IsComplete"]


def test_removal_waits_while_a_node_of_karpenters_runs(aws):
    node = _launch()
    assert not _complete()
    assert _state(node) == "running"


def test_removal_goes_on_once_the_last_node_has_ended(aws):
    node = _launch()
    boto3.client("ec2").terminate_instances(InstanceIds=[node])
    assert _complete()


def test_removal_waits_for_a_node_that_is_only_stopped(aws):
    node = _launch()
    boto3.client("ec2").stop_instances(InstanceIds=[node])
    assert not _complete()


@pytest.mark.parametrize(
    "tags", [{"cluster": "another"}, {"karpenter.sh/nodepool": ""}], ids=["another cluster's", "not Karpenter's"]
)
def test_removal_neither_waits_for_nor_ends_other_instances(aws, tags):
    other = _launch(**tags)
    assert _complete(overdue=True)
    assert _state(other) == "running"


def test_nodes_that_karpenter_leaves_are_ended_when_its_time_is_up(aws):
    nodes = [_launch(), _launch()]
    _complete(overdue=True)
    assert {_state(node) for node in nodes} == {"terminated"}
    assert _complete(overdue=True)


def test_removal_waits_for_profiles_because_they_hold_the_nodes_role(aws):
    _make_profile()
    assert not _complete()
    assert len(_profiles()) == 1


def test_profiles_that_karpenter_leaves_are_removed_once_no_node_runs(aws):
    _launch()
    _make_profile()
    assert not _complete(overdue=True)
    assert len(_profiles()) == 1
    assert _complete(overdue=True)
    assert _profiles() == []


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_deployment_waits_for_nothing(aws, request_type):
    _launch()
    assert _complete(request_type)


def test_karpenters_time_begins_when_removal_does(monkeypatch):
    monkeypatch.setattr(handler.time, "time", lambda: 1000.0)
    started = handler.on_event({"RequestType": "Delete", "ResourceProperties": _PROPERTIES}, None)
    assert started["Data"]["Deadline"] == 1000.0 + handler.KARPENTER_MAY_TAKE_S


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_the_resource_keeps_its_identity_for_as_long_as_the_cluster_has_its_name(request_type):
    started = handler.on_event({"RequestType": request_type, "ResourceProperties": _PROPERTIES}, None)
    assert started["PhysicalResourceId"] == NAME


@pytest.fixture(scope="module")
def drain(stack):
    """Logical id and properties of the resource that waits."""
    return stack.only("Custom::KarpenterNodeDrain")


@pytest.fixture(scope="module")
def rights(stack):
    """What the function may do that looks and ends: each action's statement."""
    [role] = [name for name in stack.of_type("AWS::IAM::Role") if name.startswith("NodeDrainIsCompleteRole")]
    return {action: one for one in stack.statements(role) for action in listed(one["Action"])}


def test_karpenter_stays_until_the_nodes_are_gone(stack, drain):
    name, properties = drain
    assert stack.releases["karpenter"]["id"] in stack.needs(name)
    assert properties["ClusterName"] == NAME
    assert properties["NodeRole"]["Ref"].startswith("KarpenterNodeRole")


def test_the_template_names_the_handlers_that_there_are(stack):
    names = [one["Handler"] for one in stack.properties("AWS::Lambda::Function").values()]
    found = {name.partition(".")[2] for name in names if name.startswith("handler.")}
    assert found == {"on_event", "is_complete"}
    assert all(hasattr(handler, name) for name in found)


def test_asking_goes_on_for_longer_than_karpenter_may_take(stack):
    [machine] = stack.properties("AWS::StepFunctions::StateMachine").values()
    [retry] = json.loads(spelled(machine["DefinitionString"]))["States"]["framework-isComplete-task"]["Retry"]
    asking_s = retry["IntervalSeconds"] * retry["MaxAttempts"]
    assert handler.KARPENTER_MAY_TAKE_S + 15 * 60 < asking_s < 60 * 60  # CloudFormation waits for an hour


def test_the_function_may_do_what_it_does_and_only_to_what_is_the_clusters(rights):
    changing = {"ec2:TerminateInstances", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"}
    looking = {"ec2:DescribeInstances", "iam:ListInstanceProfilesForRole"}
    assert {action for action in rights if not action.startswith(("xray:", "logs:"))} == changing | looking
    for action in changing:
        condition = rights[action]["Condition"]
        assert condition["StringEquals"] == {f"aws:ResourceTag/kubernetes.io/cluster/{NAME}": "owned"}
