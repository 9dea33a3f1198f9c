"""The stack's own step, the filters' step, and the account they go to."""

from contextlib import nullcontext
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from moto.dynamodb.models import dynamodb_backends

from deploy import aws, stacks, table_indexes
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.rollout.steps import stack as module
from deploy.rollout.steps.stack import filters
from deploy.rollout.steps.stack import stack as step
from deploy.stacks import explain_failures
from jobs.schema import DEFINITION, KEY

ACCOUNT, REGION = "123456789012", "us-west-2"


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
        ("UPDATE_FAILED", None),
    ],
)
def test_the_next_run_goes_on_after_a_failure_unless_a_state_cannot_be_updated(
    inside, deployment, world, status, way_out
):
    world.stack().status = status
    with nullcontext() if way_out is None else pytest.raises(DeployError, match=way_out):
        step.run(deployment())
    assert ("cdk deploy" in inside.calls.read_text()) == (way_out is None)


def table_with(*indexes, stream=None):
    """A jobs table that has some of the indexes, as a resource of a stack."""
    parts = [index for index in DEFINITION["GlobalSecondaryIndexes"] if index["IndexName"] in indexes]
    used = {key["AttributeName"] for index in parts for key in index["KeySchema"]} | {KEY}
    attributes = [one for one in DEFINITION["AttributeDefinitions"] if one["AttributeName"] in used]
    properties = {**DEFINITION, "AttributeDefinitions": attributes, "GlobalSecondaryIndexes": parts}
    if stream is not None:
        properties["StreamSpecification"] = {"StreamViewType": stream}
    return {"JobsTable": {"Type": "AWS::DynamoDB::Table", "Properties": properties}}


DEPLOY = "cdk deploy --no-rollback --require-approval never"


@pytest.mark.parametrize(
    ("live", "stream", "updates"),
    [
        (["due"], None, [" -c jobsTable=due,queue", " -c jobsTable=due,queue,tenant", ""]),
        (["due", "tenant"], "NEW_AND_OLD_IMAGES", [" -c jobsTable=due,queue,tenant,stream", ""]),
        (["due", "queue", "tenant"], None, [""]),
    ],
)
def test_an_older_table_gets_one_index_in_each_update_as_the_plan_says(
    inside, deployment, world, *, live, stream, updates
):
    world.stack(table_with(*live, stream=stream))
    plan = step.plan(deployment())
    assert (f"{len(updates) - 1} updates that each add an index" in plan) == (len(updates) > 1)
    step.run(deployment())
    assert inside.calls.read_text().splitlines() == [f"{DEPLOY}{update}" for update in updates]


def test_no_update_begins_while_dynamodb_fills_an_index(inside, deployment, world, monkeypatch, capsys):
    opened = deployment()
    world.stack(table_with("due", "queue", "tenant"))
    [table] = dynamodb_backends[ACCOUNT][REGION].tables.values()
    [*_, filling] = table.global_indexes
    filling.status = "CREATING"
    ends = SimpleNamespace(sleep=lambda _: setattr(filling, "status", "ACTIVE"))
    monkeypatch.setattr(table_indexes, "time", ends)
    step.run(opened)
    assert capsys.readouterr().out.count("DynamoDB fills index tenant of the jobs table") == 1
    assert inside.calls.read_text() == f"{DEPLOY}\n"


def test_a_failure_is_explained_by_its_causes_among_the_stacks_own_events(inside, deployment, world):
    stack = world.stack()
    first, events = stack.events[-1], []
    for resource, reason, kind in (
        ("A", "Resource creation cancelled", "AWS::SNS::Topic"),
        ("B", "Maximum number of topics reached", "AWS::SNS::Topic"),
        ("C", "odd", "AWS::SNS::Topic"),
        ("S", "failed to create A, B", "AWS::CloudFormation::Stack"),
    ):
        events.append(event := copy(first))
        event.logical_resource_id, event.resource_type, event.event_id = resource, kind, resource
        event.resource_status, event.resource_status_reason = "CREATE_FAILED", reason
    stack.events[:] = events
    inside.break_("cdk-deploy")
    with pytest.raises(DeployError) as failure:
        step.run(deployment())
    assert failure.value.problem.splitlines()[1:] == [
        "  B (AWS::SNS::Topic): Maximum number of topics reached",
        "    → A quota is used up: deploy/deploy.sh --plan shows them.",
        "  C (AWS::SNS::Topic): odd",
    ]


@pytest.mark.parametrize(
    "reason",
    [
        'conflict with "kubectl-patch" using keda.sh/v1alpha1: .spec.maxReplicaCount',
        'b\'Error: UPGRADE FAILED: Apply failed with 2 conflicts: conflicts with \\"kubectl-edit\\":'
        "\\n- .spec.template.spec.containers already exists",
    ],
)
def test_a_field_that_was_changed_by_hand_is_told_with_what_gives_it_back(reason):
    event = {"LogicalResourceId": "R", "ResourceType": "Custom::Helm", "ResourceStatus": "UPDATE_FAILED"}
    [_, hint] = explain_failures([{**event, "ResourceStatusReason": reason}]).splitlines()
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
