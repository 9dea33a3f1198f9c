"""Alarms, each with its entry in the runbook, and the topic that sends them by e-mail."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from aws_cdk import ArnFormat, Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cdk.context import Context
from cdk.messaging import RuntimeQueues
from cdk.metrics import AgentMetrics, in_flight, oldest_s, waiting
from cdk.task_flow import TaskFlow
from configuration.config import ModelsRuntime

RUNBOOK = "docs/operate.md"

_PERIOD = Duration.minutes(5)
_FAILURES_PERIOD = Duration.minutes(15)
_NODE_BOOT_S = 300
"""What a GPU node takes until its pods start, with some time to spare."""
_FAILED_SHARE, _MIN_JOBS = 0.25, 10
_SERVER_ERROR_SHARE, _MIN_SERVER_ERRORS = 0.01, 3


class AlarmCondition(NamedTuple):
    """What is wrong while a measure is above a value, in each of the last periods.

    Attributes:
        name: The alarm's name within the stack.
        runbook: The alarm's heading in docs/operate.md.
        says: What is wrong, in a sentence.
        measure: What is looked at.
        above: The value.
        periods: How many periods of the measure.
        raised_without_data: Whether missing data raises the alarm. By default it does not.
    """

    name: str
    runbook: str
    says: str
    measure: cloudwatch.IMetric
    above: float = 0
    periods: int = 1
    raised_without_data: bool = False


class Alarms(Construct):
    """One alarm for each condition. Without addresses in config.yaml they show in the console and notify nobody."""

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, flow: TaskFlow) -> None:
        super().__init__(scope, construct_id)
        conditions = [
            condition
            for runtime in context.config.models_runtime
            for condition in _runtime_conditions(context, runtime, flow.messaging.queues[runtime.name])
        ]
        conditions += _platform_conditions(flow)
        alarms = [self._alarm(context.name, condition) for condition in conditions]
        if emails := context.config.monitoring.alarm_emails:
            action = actions.SnsAction(_topic(Construct(self, "Mail"), emails, context.key))
            for alarm in alarms:
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)

    def _alarm(self, stack_name: str, condition: AlarmCondition) -> cloudwatch.Alarm:
        missing = cloudwatch.TreatMissingData
        return cloudwatch.Alarm(
            self,
            condition.name,
            alarm_name=f"{stack_name}-{condition.name}",
            alarm_description=f"{condition.says} What to do: {RUNBOOK}#{_anchor(condition.runbook)}",
            metric=condition.measure,
            threshold=condition.above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=condition.periods,
            treat_missing_data=missing.BREACHING if condition.raised_without_data else missing.NOT_BREACHING,
        )


def _anchor(heading: str) -> str:
    """GitHub's link to a heading of a page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _runtime_conditions(context: Context, runtime: ModelsRuntime, queues: RuntimeQueues) -> Iterator[AlarmCondition]:
    """What can be wrong with a runtime."""
    name, agents = runtime.name, AgentMetrics(context.name, runtime.name)
    deadlines = context.config.deadlines.with_own(runtime.deadlines)
    start_s = _NODE_BOOT_S + runtime.extra_values.runtime.inference_api.startup_seconds
    yield AlarmCondition(
        f"{name}-unread-queue",
        "Queue cannot be read",
        f"KEDA cannot read the queue of runtime {name}, whose pods stay as many as they are.",
        agents.scaling_errors(runtime.namespace, period=_PERIOD),
        periods=2,  # KEDA reads the queue again a second after a failure; only failures that last matter
    )
    yield AlarmCondition(
        f"{name}-oldest-task",
        "Oldest task",
        f"A task of runtime {name} has waited for half of its start deadline.",
        oldest_s(queues.main, period=_PERIOD),
        above=deadlines.start_seconds / 2 + deadlines.execution_seconds,  # the age counts the job's run too
    )
    # Seen from the queue alone, so that it needs neither agents nor the collector; both its metrics always come.
    yield AlarmCondition(
        f"{name}-no-replicas",
        "No replicas while tasks wait",
        f"Tasks of runtime {name} wait, and no replica has taken one for longer than one takes to start.",
        _formula(
            "IF(waiting > 0 AND taken == 0, 1, 0)",
            waiting=waiting(queues.main, "Minimum", period=_PERIOD),
            taken=in_flight(queues.main, "Maximum", period=_PERIOD),
        ),
        periods=math.ceil(start_s / _PERIOD.to_seconds()),
    )
    # Where none has failed, "failed" has no data, and so has the share: no trouble.
    yield AlarmCondition(
        f"{name}-failing-jobs",
        "Failing jobs",
        f"More than {_FAILED_SHARE:.0%} of the jobs of runtime {name} fail.",
        _formula(
            f"IF(ended >= {_MIN_JOBS}, failed / ended, 0)",
            period=_FAILURES_PERIOD,
            ended=agents.jobs(period=_FAILURES_PERIOD),
            failed=agents.jobs("failed", period=_FAILURES_PERIOD),
        ),
        above=_FAILED_SHARE,
    )
    # The keeper empties this queue at once; a message it cannot handle is hidden between its attempts.
    yield AlarmCondition(
        f"{name}-returned",
        "Returned messages stay",
        f"The keeper does not handle the returned messages of runtime {name}.",
        _formula(
            "waiting + taken",
            waiting=waiting(queues.returned, "Average", period=_PERIOD),
            taken=in_flight(queues.returned, "Average", period=_PERIOD),
        ),
        above=0.9,
        periods=3,
    )
    yield AlarmCondition(
        f"{name}-dead",
        "Dead queue not empty",
        f"Jobs of runtime {name} have failed for good and wait in its dead queue.",
        waiting(queues.dead, "Maximum", period=_PERIOD),
    )


def _platform_conditions(flow: TaskFlow) -> Iterator[AlarmCondition]:
    """What can be wrong with the door and the keeper."""
    api, keeper = flow.door.api, flow.keeper
    sums: dict[str, Any] = {"statistic": "Sum", "period": _PERIOD}
    yield AlarmCondition(
        "door-errors",
        "Door answers 5xx",
        f"The API answers more than {_SERVER_ERROR_SHARE:.0%} of its requests with an error of its own.",
        _formula(
            f"IF(errors >= {_MIN_SERVER_ERRORS}, errors / requests, 0)",
            errors=api.metric_server_error(**sums),
            requests=api.metric_count(**sums),
        ),
        above=_SERVER_ERROR_SHARE,
        periods=2,
    )
    # After an error the function is tried again at once or a minute later; only lasting errors matter.
    for name, what, function in (
        ("returned", "returned messages", keeper.returned),
        ("reaper", "overdue jobs", keeper.reaper),
    ):
        says = f"The keeper's function for {what}"
        yield AlarmCondition(
            f"keeper-{name}-errors", "Keeper errors", f"{says} fails.", function.metric_errors(**sums), periods=3
        )
        yield AlarmCondition(
            f"keeper-{name}-throttles",
            "Keeper throttles",
            f"{says} is throttled.",
            function.metric_throttles(**sums),
            periods=3,
        )
    # Lambda publishes a function's metrics only when it is called, so missing data means that it was not.
    yield AlarmCondition(
        "reaper-still",
        "Reaper not running",
        "The keeper's function for overdue jobs has not been called for 15 minutes.",
        _formula("IF(runs > 0, 0, 1)", runs=keeper.reaper.metric_invocations(**sums)),
        periods=3,
        raised_without_data=True,
    )


def _formula(
    expression: str, *, period: Duration = _PERIOD, **metrics: cloudwatch.IMetric
) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, period=period)


def _topic(scope: Construct, emails: list[str], key: kms.IKey | None) -> sns.Topic:
    """Make a topic that alarms are published to, with its e-mail subscriptions; each address must confirm once.

    CloudWatch cannot publish to a topic under SNS's own key, whose policy nobody can change
    (https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns): without a key of the operator's the topic has
    one of its own. The policy of the operator's must name CloudWatch (``configuration.key_policy``).
    """
    if key is None:
        own = key = kms.Key(
            scope,
            "Key",
            description="Encrypts alarms on their way to e-mail",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        own.add_to_resource_policy(_allow_cloudwatch(["kms:Decrypt", "kms:GenerateDataKey"], "*"))
    topic = sns.Topic(scope, "Topic", master_key=key, enforce_ssl=True)
    stack = Stack.of(scope)
    alarms = stack.format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=f"{stack.stack_name}-*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    # A policy of its own replaces the default one, which lets the whole account publish.
    topic.add_to_resource_policy(
        _allow_cloudwatch(["sns:Publish"], topic.topic_arn, {"ArnLike": {"aws:SourceArn": alarms}})
    )
    for email in emails:
        topic.add_subscription(subscriptions.EmailSubscription(email))
    return topic


def _allow_cloudwatch(
    allowed: list[str], resource: str, conditions: dict[str, dict[str, str]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions=allowed,
        resources=[resource],
        conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}, **(conditions or {})},
    )
