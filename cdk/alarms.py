"""Alarms, each with its entry in the runbook, and the topic that sends them by e-mail."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
from configuration.config import Config, ModelsRuntime

RUNBOOK = "docs/operate.md"

_PERIOD = Duration.minutes(5)
_FAILURES_PERIOD = Duration.minutes(15)
_NODE_BOOT_S = 300
"""What a GPU node takes until its pods start, with some time to spare."""
_FAILED_SHARE, _MIN_JOBS = 0.25, 10
_SERVER_ERROR_SHARE, _MIN_SERVER_ERRORS = 0.01, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCondition:
    """What is wrong while a measure is above a value.

    Attributes:
        name: The alarm's name within the stack.
        runbook: The alarm's heading in docs/operate.md.
        says: What is wrong, in a sentence.
        measure: What is looked at.
        above: What it must be above, in each of the last ``periods`` of its periods.
        periods: How many of its periods.
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
        self._name = context.name
        alarms = [self._alarm(condition) for condition in self._conditions(context.config, flow)]
        if emails := context.config.monitoring.alarm_emails:
            topic = AlarmTopic(self, "Mail", emails=emails, key=context.key).topic
            for alarm in alarms:
                alarm.add_alarm_action(actions.SnsAction(topic))
                alarm.add_ok_action(actions.SnsAction(topic))

    def _conditions(self, config: Config, flow: TaskFlow) -> Iterator[AlarmCondition]:
        for runtime in config.models_runtime:
            agents = AgentMetrics(self._name, runtime.name)
            yield from _runtime_conditions(config, runtime, flow.messaging.queues[runtime.name], agents)
        yield from _platform_conditions(flow)

    def _alarm(self, condition: AlarmCondition) -> cloudwatch.Alarm:
        missing = cloudwatch.TreatMissingData
        return cloudwatch.Alarm(
            self,
            condition.name,
            alarm_name=f"{self._name}-{condition.name}",
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


def _runtime_conditions(
    config: Config, runtime: ModelsRuntime, queues: RuntimeQueues, agents: AgentMetrics
) -> Iterator[AlarmCondition]:
    """What can be wrong with a runtime."""
    name = runtime.name
    yield AlarmCondition(
        name=f"{name}-unread-queue",
        runbook="Queue cannot be read",
        says=f"KEDA cannot read the queue of runtime {name}, whose pods stay as many as they are.",
        measure=agents.scaling_errors(runtime.namespace, period=_PERIOD),
        # KEDA reads the queue again a second after a failure; only failures that last for minutes matter.
        periods=2,
    )
    # Half of the start deadline: as much is left to act before tasks fail. The age counts the job's run too.
    deadlines = config.deadlines.with_own(runtime.deadlines)
    yield AlarmCondition(
        name=f"{name}-oldest-task",
        runbook="Oldest task",
        says=f"A task of runtime {name} has waited for half of its start deadline.",
        measure=oldest_s(queues.main, period=_PERIOD),
        above=deadlines.start_seconds / 2 + deadlines.execution_seconds,
    )
    # Seen from the queue alone, so that it needs neither agents nor the collector; both its metrics always come.
    start_s = _NODE_BOOT_S + runtime.extra_values.runtime.inference_api.startup_seconds
    yield AlarmCondition(
        name=f"{name}-no-replicas",
        runbook="No replicas while tasks wait",
        says=f"Tasks of runtime {name} wait, and no replica has taken one for longer than one takes to start.",
        measure=_formula(
            "IF(waiting > 0 AND taken == 0, 1, 0)",
            waiting=waiting(queues.main, "Minimum", period=_PERIOD),
            taken=in_flight(queues.main, "Maximum", period=_PERIOD),
        ),
        periods=math.ceil(start_s / _PERIOD.to_seconds()),
    )
    # Where none has failed, "failed" has no data, and so has the share: no trouble.
    yield AlarmCondition(
        name=f"{name}-failing-jobs",
        runbook="Failing jobs",
        says=f"More than {_FAILED_SHARE:.0%} of the jobs of runtime {name} fail.",
        measure=_formula(
            f"IF(ended >= {_MIN_JOBS}, failed / ended, 0)",
            period=_FAILURES_PERIOD,
            ended=agents.jobs(period=_FAILURES_PERIOD),
            failed=agents.jobs("failed", period=_FAILURES_PERIOD),
        ),
        above=_FAILED_SHARE,
    )
    # The keeper empties this queue at once; a message it cannot handle is hidden between its attempts.
    yield AlarmCondition(
        name=f"{name}-returned",
        runbook="Returned messages stay",
        says=f"The keeper does not handle the returned messages of runtime {name}.",
        measure=_formula(
            "waiting + taken",
            waiting=waiting(queues.returned, "Average", period=_PERIOD),
            taken=in_flight(queues.returned, "Average", period=_PERIOD),
        ),
        above=0.9,
        periods=3,
    )
    yield AlarmCondition(
        name=f"{name}-dead",
        runbook="Dead queue not empty",
        says=f"Jobs of runtime {name} have failed for good and wait in its dead queue.",
        measure=waiting(queues.dead, "Maximum", period=_PERIOD),
    )


def _platform_conditions(flow: TaskFlow) -> Iterator[AlarmCondition]:
    """What can be wrong with the door and the keeper."""
    api, keeper = flow.door.api, flow.keeper
    yield AlarmCondition(
        name="door-errors",
        runbook="Door answers 5xx",
        says=f"The API answers more than {_SERVER_ERROR_SHARE:.0%} of its requests with an error of its own.",
        measure=_formula(
            f"IF(errors >= {_MIN_SERVER_ERRORS}, errors / requests, 0)",
            errors=api.metric_server_error(statistic="Sum", period=_PERIOD),
            requests=api.metric_count(statistic="Sum", period=_PERIOD),
        ),
        above=_SERVER_ERROR_SHARE,
        periods=2,
    )
    # After an error the function is tried again at once or a minute later; only lasting errors matter.
    for name, what, function in (
        ("returned", "returned messages", keeper.returned),
        ("reaper", "overdue jobs", keeper.reaper),
    ):
        for kind, verb, measure in (
            ("errors", "fails", function.metric_errors),
            ("throttles", "is throttled", function.metric_throttles),
        ):
            yield AlarmCondition(
                name=f"keeper-{name}-{kind}",
                runbook=f"Keeper {kind}",
                says=f"The keeper's function for {what} {verb}.",
                measure=measure(statistic="Sum", period=_PERIOD),
                periods=3,
            )
    # Lambda publishes a function's metrics only when it is called, so missing data means that it was not.
    yield AlarmCondition(
        name="reaper-still",
        runbook="Reaper not running",
        says="The keeper's function for overdue jobs has not been called for 15 minutes.",
        measure=_formula("IF(runs > 0, 0, 1)", runs=keeper.reaper.metric_invocations(statistic="Sum", period=_PERIOD)),
        periods=3,
        raised_without_data=True,
    )


def _formula(
    expression: str, *, period: Duration = _PERIOD, **metrics: cloudwatch.IMetric
) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, period=period)


class AlarmTopic(Construct):
    """A topic that alarms are published to, and its e-mail subscriptions; each address must confirm once.

    CloudWatch cannot publish to a topic under SNS's own key, whose policy nobody can change
    (https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns): without a key of the operator's the topic has
    one of its own. The policy of the operator's must name CloudWatch (``configuration.key_policy``).

    Args:
        emails: The addresses.
        key: The operator's key.

    Attributes:
        topic: The topic.
    """

    def __init__(self, scope: Construct, construct_id: str, *, emails: Sequence[str], key: kms.IKey | None) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", master_key=key or self._own_key(), enforce_ssl=True)
        stack = Stack.of(self)
        alarms = stack.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{stack.stack_name}-*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        # A policy of its own replaces the default one, which lets the whole account publish.
        self.topic.add_to_resource_policy(
            _allow_cloudwatch(["sns:Publish"], self.topic.topic_arn, {"ArnLike": {"aws:SourceArn": alarms}})
        )
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))

    def _own_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            description="Encrypts alarms on their way to e-mail",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        key.add_to_resource_policy(_allow_cloudwatch(["kms:Decrypt", "kms:GenerateDataKey"], "*"))
        return key


def _allow_cloudwatch(
    allowed: list[str], resource: str, conditions: dict[str, dict[str, str]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions=allowed,
        resources=[resource],
        conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}, **(conditions or {})},
    )
