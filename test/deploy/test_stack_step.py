"""The stack's own step, and the account it goes to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import aws, stacks
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.rollout.steps import stack as step
from deploy.rollout.steps.stack import filters
from deploy.rollout.steps.stack import stack as deploy_stack
from deploy.stacks import explain_failures


def event_of(resource, reason="", *, kind="AWS::S3::Bucket", status="CREATE_FAILED"):
    return {
        "LogicalResourceId": resource,
        "ResourceType": kind,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


class TestTheStack:
    def test_an_operation_under_way_is_waited_for_and_each_of_its_events_is_shown_once(
        self, inside, deployment, world, monkeypatch, capsys
    ):
        opened = deployment()
        stack = world.stack()
        stack.status = "UPDATE_IN_PROGRESS"
        ends = SimpleNamespace(sleep=lambda _: setattr(stack, "status", "UPDATE_COMPLETE"))
        monkeypatch.setattr(stacks, "time", ends)
        deploy_stack.run(opened)
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
    def test_a_state_that_cannot_be_updated_is_told_with_the_way_out(self, inside, deployment, world, status, way_out):
        world.stack().status = status
        with pytest.raises(DeployError, match=way_out):
            deploy_stack.run(deployment())
        assert inside.calls.read_text() == ""

    @pytest.mark.parametrize("status", ["CREATE_FAILED", "UPDATE_FAILED"])
    def test_after_a_failure_without_rollback_the_next_run_goes_on(self, inside, deployment, world, status, capsys):
        world.stack().status = status
        deploy_stack.run(deployment())
        assert "goes on from there" in capsys.readouterr().out
        assert "cdk deploy" in inside.calls.read_text()

    def test_a_failure_is_explained_by_the_stacks_own_events(self, inside, deployment, world):
        event = world.stack().events[-1]
        event.logical_resource_id, event.resource_type = "Topic", "AWS::SNS::Topic"
        event.resource_status, event.resource_status_reason = "CREATE_FAILED", "Maximum number of topics reached"
        inside.break_("cdk-deploy")
        with pytest.raises(DeployError) as failure:
            deploy_stack.run(deployment())
        assert "  Topic (AWS::SNS::Topic): Maximum number of topics reached\n    → A quota" in failure.value.problem

    def test_only_causes_are_shown_not_what_was_cancelled_after_them(self):
        stack = event_of("S", "failed to create A, B", kind="AWS::CloudFormation::Stack")
        others = [event_of("A", "Resource creation cancelled"), event_of("B", "AccessDenied"), event_of("C", "odd")]
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
    def test_a_field_that_was_changed_by_hand_is_told_with_what_gives_it_back(self, reason):
        failures = explain_failures([event_of("R", reason, kind="Custom::Helm", status="UPDATE_FAILED")])
        [hint] = [line for line in failures.splitlines() if line.lstrip().startswith("→")]
        assert "changed the fields that it names by hand" in hint
        command = hint.partition("again: ")[2].partition(" (docs")[0]
        operate = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
        assert command.replace("NAMESPACE", '"$NAMESPACE"').replace("RUNTIME", '"$RUNTIME"') in operate


class TestFilters:
    @pytest.fixture
    def clock(self, monkeypatch):
        """A clock that goes on only while somebody sleeps; tells for how long they did."""
        clock = SimpleNamespace(now=datetime(2026, 1, 1, 12, tzinfo=UTC), slept_s=0.0)

        def sleep(seconds):
            clock.now += timedelta(seconds=seconds)
            clock.slept_s += seconds

        monkeypatch.setattr(step, "datetime", SimpleNamespace(now=lambda _: clock.now))
        monkeypatch.setattr(step, "time", SimpleNamespace(sleep=sleep))
        return clock

    def changed(self, clock, minutes_ago, kind="AWS::SNS::Subscription"):
        event = {"ResourceType": kind, "Timestamp": clock.now - timedelta(minutes=minutes_ago)}
        events = SimpleNamespace(events=lambda since: [event] if event["Timestamp"] >= since else [])
        return SimpleNamespace(stack=events)

    def test_a_filter_that_has_just_changed_is_waited_for_until_it_holds_everywhere(self, clock, capsys):
        filters.run(self.changed(clock, minutes_ago=4))
        assert clock.slept_s == 11 * 60
        told = capsys.readouterr().out
        assert "until 12:11 UTC; send none before" in told
        assert told.count(" left") == 11

    @pytest.mark.parametrize(("minutes_ago", "kind"), [(16, "AWS::SNS::Subscription"), (4, "AWS::SNS::Topic")])
    def test_nothing_is_waited_for_where_no_filter_has_changed(self, clock, minutes_ago, kind):
        filters.run(self.changed(clock, minutes_ago, kind))
        assert clock.slept_s == 0


class TestTheAccount:
    @pytest.mark.parametrize(
        ("region", "words"),
        [("cn-northwest-1", "is in partition aws-cn, the credentials are of aws"), (None, "-R")],
    )
    def test_a_missing_region_or_one_of_another_partition_is_refused(self, monkeypatch, region, words):
        identity = SimpleNamespace(get_caller_identity=lambda: {"Arn": "arn:aws:iam::1:user/me", "Account": "1"})
        session = SimpleNamespace(
            region_name=region, get_partition_for_region=lambda _: "aws-cn", client=lambda *_, **__: identity
        )
        monkeypatch.setattr(aws.boto3, "Session", lambda region_name: session)
        with pytest.raises(DeployError, match=words):
            Account.find(region)

    def test_an_unknown_region_is_refused(self, inside):
        with pytest.raises(DeployError, match="no region nowhere-1"):
            Account.find("nowhere-1")
