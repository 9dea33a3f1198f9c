"""The stack's own step, the filters' step, and the account they go to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import aws, stacks
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.rollout.steps import stack as module
from deploy.rollout.steps.stack import filters
from deploy.rollout.steps.stack import stack as step
from deploy.stacks import explain_failures


def failed(resource, reason, kind="AWS::S3::Bucket"):
    status = {"ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": reason}
    return {"LogicalResourceId": resource, "ResourceType": kind, **status}


def test_an_operation_under_way_is_waited_for_and_each_of_its_events_is_shown_once(
    inside, deployment, world, monkeypatch, capsys
):
    opened = deployment()
    stack = world.stack()
    stack.status = "UPDATE_IN_PROGRESS"
    ends = SimpleNamespace(sleep=lambda _: setattr(stack, "status", "UPDATE_COMPLETE"))
    monkeypatch.setattr(stacks, "time", ends)
    step.run(opened)
    told = capsys.readouterr().out
    assert "an operation is under way (UPDATE_IN_PROGRESS)" in told
    assert told.count("CREATE_COMPLETE ") == 1
    assert inside.calls.read_text() == "cdk deploy --no-rollback --require-approval never\n"


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        ("ROLLBACK_COMPLETE", "deploy/destroy.sh"),
        ("UPDATE_ROLLBACK_FAILED", "cdk rollback"),
        ("DELETE_FAILED", "deploy/destroy.sh"),
    ],
)
def test_a_state_that_cannot_be_updated_is_told_with_the_way_out(inside, deployment, world, status, way_out):
    world.stack().status = status
    with pytest.raises(DeployError, match=way_out):
        step.run(deployment())
    assert inside.calls.read_text() == ""


@pytest.mark.parametrize("status", ["CREATE_FAILED", "UPDATE_FAILED"])
def test_after_a_failure_without_rollback_the_next_run_goes_on(inside, deployment, world, status, capsys):
    world.stack().status = status
    step.run(deployment())
    assert "goes on from there" in capsys.readouterr().out
    assert "cdk deploy" in inside.calls.read_text()


def test_a_failure_is_explained_by_the_stacks_own_events(inside, deployment, world):
    event = world.stack().events[-1]
    event.logical_resource_id, event.resource_type = "Topic", "AWS::SNS::Topic"
    event.resource_status, event.resource_status_reason = "CREATE_FAILED", "Maximum number of topics reached"
    inside.break_("cdk-deploy")
    with pytest.raises(DeployError) as failure:
        step.run(deployment())
    assert "  Topic (AWS::SNS::Topic): Maximum number of topics reached\n    → A quota" in failure.value.problem


def test_only_causes_are_shown_not_what_was_cancelled_after_them():
    stack = failed("S", "failed to create A, B", kind="AWS::CloudFormation::Stack")
    others = [failed("A", "Resource creation cancelled"), failed("B", "AccessDenied"), failed("C", "odd")]
    assert explain_failures([*others, stack]) == (
        "  B (AWS::S3::Bucket): AccessDenied\n    → The credentials may not do this.\n  C (AWS::S3::Bucket): odd"
    )


@pytest.mark.parametrize(
    "reason",
    [
        'conflict with "kubectl-patch" using keda.sh/v1alpha1: .spec.maxReplicaCount',
        'b\'Error: UPGRADE FAILED: Apply failed with 2 conflicts: conflicts with \\"kubectl-edit\\":'
        "\\n- .spec.template.spec.containers already exists",
    ],
)
def test_a_field_that_was_changed_by_hand_is_told_with_what_gives_it_back(reason):
    [_, hint] = explain_failures([failed("R", reason, kind="Custom::Helm")]).splitlines()
    assert "changed the fields that it names by hand" in hint
    command = hint.partition("again: ")[2].partition(" (docs")[0]
    operate = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
    assert command.replace("NAMESPACE", '"$NAMESPACE"').replace("RUNTIME", '"$RUNTIME"') in operate


@pytest.mark.parametrize(
    ("minutes_ago", "kind", "slept_minutes"),
    [(4, "AWS::SNS::Subscription", 11), (16, "AWS::SNS::Subscription", 0), (4, "AWS::SNS::Topic", 0)],
)
def test_a_filter_that_has_just_changed_is_waited_for_until_it_holds_everywhere(
    monkeypatch, capsys, minutes_ago, kind, slept_minutes
):
    clock = SimpleNamespace(now=datetime(2026, 1, 1, 12, tzinfo=UTC), slept_s=0.0)

    def sleep(seconds):
        clock.now += timedelta(seconds=seconds)
        clock.slept_s += seconds

    monkeypatch.setattr(module, "datetime", SimpleNamespace(now=lambda _: clock.now))
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))
    event = {"ResourceType": kind, "Timestamp": clock.now - timedelta(minutes=minutes_ago)}
    events = SimpleNamespace(events=lambda since: [event] if event["Timestamp"] >= since else [])
    filters.run(SimpleNamespace(stack=events))
    assert clock.slept_s == slept_minutes * 60
    told = capsys.readouterr().out
    assert told.count(" left") == slept_minutes
    assert ("until 12:11 UTC; send none before" in told) == (slept_minutes > 0)


@pytest.mark.parametrize(
    ("region", "words"),
    [("cn-northwest-1", "is in partition aws-cn, the credentials are of aws"), (None, "-R")],
)
def test_a_missing_region_or_one_of_another_partition_is_refused(monkeypatch, region, words):
    identity = SimpleNamespace(get_caller_identity=lambda: {"Arn": "arn:aws:iam::1:user/me", "Account": "1"})
    session = SimpleNamespace(
        region_name=region, get_partition_for_region=lambda _: "aws-cn", client=lambda *_, **__: identity
    )
    monkeypatch.setattr(aws.boto3, "Session", lambda region_name: session)
    with pytest.raises(DeployError, match=words):
        Account.find(region)


def test_an_unknown_region_is_refused(inside):
    with pytest.raises(DeployError, match="no region nowhere-1"):
        Account.find("nowhere-1")
