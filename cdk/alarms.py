"""Alarms, each with its entry in the runbook, and the topic that sends them by e-mail."""

import math
import re
from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
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
_FUNCTION_START_S = 600
"""What Lambda may take until it calls a function, even where the account's functions were all busy."""
_FAILED_SHARE, _MIN_JOBS = 0.25, 10
_SERVER_ERROR_SHARE, _MIN_SERVER_ERRORS = 0.01, 3


class Alarms(Construct):
    """One alarm for each condition. Without addresses in config.yaml they show in the console and notify nobody.

    ``agents`` are the queue agents that are functions, by their runtimes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        flow: TaskFlow,
        agents: Mapping[str, lambda_.IFunction],
    ) -> None:
        super().__init__(scope, construct_id)
        self._context = context
        self._alarms: list[cloudwatch.Alarm] = []
        for runtime in context.config.models_runtime:
            queues, function = flow.messaging.queues[runtime.name], agents.get(runtime.name)
            self._watch_queues(runtime, queues)
            self._watch_jobs(runtime.name)
            if function is None:
                self._watch_pods(runtime, queues)
            else:
                self._watch_function(runtime, queues, function)
        self._watch_platform(flow)
        if emails := context.config.monitoring.alarm_emails:
            action = actions.SnsAction(_topic(Construct(self, "Mail"), emails, context.key))
            for alarm in self._alarms:
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)

    def _alarm(
        self,
        name: str,
        runbook: str,
        says: str,
        measure: cloudwatch.IMetric,
        *,
        above: float = 0,
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        """Make an alarm that is raised while a measure is above a value, in each of the last periods.

        ``runbook`` is its heading in docs/operate.md; ``says`` is what is wrong, in a sentence.
        """
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._context.name}-{name}",
            alarm_description=f"{says} What to do: {RUNBOOK}#{_anchor(runbook)}",
            metric=measure,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        self._alarms.append(alarm)

    def _watch_queues(self, runtime: ModelsRuntime, queues: RuntimeQueues) -> None:
        name = runtime.name
        deadlines = self._context.config.deadlines.with_own(runtime.deadlines)
        for priority, queue in queues.by_priority.items():
            self._alarm(
                f"{name}{priority.suffix}-oldest-task",
                "Oldest task",
                f"A task of runtime {name}{priority.suffix} has waited for half of its start deadline.",
                oldest_s(queue, period=_PERIOD),
                above=deadlines.start_seconds / 2 + deadlines.execution_seconds,  # the age counts the job's run too
            )
        # The keeper empties this queue at once; a message it cannot handle is hidden between its attempts.
        self._alarm(
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
        self._alarm(
            f"{name}-dead",
            "Dead queue not empty",
            f"Jobs of runtime {name} have failed for good and wait in its dead queue.",
            waiting(queues.dead, "Maximum", period=_PERIOD),
        )

    def _watch_jobs(self, name: str) -> None:
        agents = AgentMetrics(self._context.name, name)
        # Where none has failed, "failed" has no data, and so has the share: no trouble.
        self._alarm(
            f"{name}-failing-jobs",
            "Failing jobs",
            f"More than {_FAILED_SHARE:.0%} of the jobs of runtime {name} fail.",
            _formula(
                f"IF(ended >= {_MIN_JOBS}, failed / ended, 0)",
                period=_FAILURES_PERIOD,
                ended=agents.jobs(_FAILURES_PERIOD),
                failed=agents.jobs(_FAILURES_PERIOD, "failed"),
            ),
            above=_FAILED_SHARE,
        )

    def _watch_pods(self, runtime: ModelsRuntime, queues: RuntimeQueues) -> None:
        name, agents = runtime.name, AgentMetrics(self._context.name, runtime.name)
        self._alarm(
            f"{name}-unread-queue",
            "Queue cannot be read",
            f"KEDA cannot read the queue of runtime {name}, or ask the scaler.",
            agents.scaling_errors(runtime.namespace, period=_PERIOD),
            periods=2,  # KEDA reads the queue again a second after a failure; only failures that last matter
        )
        self._watch_start(
            name,
            queues,
            f"Tasks of runtime {name} wait, and no replica has taken one for longer than one takes to start.",
            start_s=_NODE_BOOT_S + runtime.extra_values.runtime.inference_api.startup_seconds,
        )

    def _watch_function(self, runtime: ModelsRuntime, queues: RuntimeQueues, function: lambda_.IFunction) -> None:
        name = runtime.name
        sums: dict[str, Any] = {"statistic": "Sum", "period": _PERIOD}
        self._watch_start(
            name,
            queues,
            f"Tasks of runtime {name} wait, and its function has not taken one for ten minutes.",
            start_s=_FUNCTION_START_S,
        )
        # A job that fails is no error of the function: these are crashes and time-outs, after which the job runs again.
        self._alarm(
            f"{name}-function-errors",
            "Agent errors",
            f"The function that runs the tasks of runtime {name} crashes or times out.",
            function.metric_errors(**sums),
            periods=3,
        )
        self._alarm(
            f"{name}-function-throttles",
            "Agent throttles",
            f"Lambda has no room for the function that runs the tasks of runtime {name}.",
            function.metric_throttles(**sums),
            periods=3,
        )

    def _watch_start(self, name: str, queues: RuntimeQueues, says: str, *, start_s: float) -> None:
        """Tell from the queues alone that nobody takes tasks: neither agents nor the collector need work for that."""
        wait: dict[str, Any] = {}
        work: dict[str, Any] = {}
        for priority, queue in queues.by_priority.items():
            ending = priority.suffix.replace("-", "_")
            wait[f"waiting{ending}"] = waiting(queue, "Minimum", period=_PERIOD)
            work[f"taken{ending}"] = in_flight(queue, "Maximum", period=_PERIOD)
        self._alarm(
            f"{name}-no-replicas",
            "No replicas while tasks wait",
            says,
            _formula(f"IF({' + '.join(wait)} > 0 AND {' + '.join(work)} == 0, 1, 0)", **wait, **work),
            periods=math.ceil(start_s / _PERIOD.to_seconds()),
        )

    def _watch_platform(self, flow: TaskFlow) -> None:
        api, keeper = flow.door.api, flow.keeper
        sums: dict[str, Any] = {"statistic": "Sum", "period": _PERIOD}
        self._alarm(
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
            self._alarm(
                f"keeper-{name}-errors", "Keeper errors", f"{says} fails.", function.metric_errors(**sums), periods=3
            )
            self._alarm(
                f"keeper-{name}-throttles",
                "Keeper throttles",
                f"{says} is throttled.",
                function.metric_throttles(**sums),
                periods=3,
            )
        # Errors of the functions that answer show as 5xx above; these are behind such an answer, or behind none.
        lasting = {"api-authorizer-errors": (flow.door.functions.authorizer, "finds API keys")}
        if flow.courier is not None:
            lasting["courier-changes-errors"] = (flow.courier.changes, "reads the changes of jobs for webhooks")
            self._alarm(
                "courier-dead",
                "Undelivered webhooks",
                "Webhooks that no receiver has accepted wait in the courier's dead queue.",
                waiting(flow.courier.dead, "Maximum", period=_PERIOD),
            )
        for name, (function, does) in lasting.items():
            self._alarm(
                name, "API errors", f"The function that {does} fails.", function.metric_errors(**sums), periods=3
            )
        # Lambda publishes a function's metrics only when it is called, so missing data means that it was not.
        self._alarm(
            "reaper-still",
            "Reaper not running",
            "The keeper's function for overdue jobs has not been called for 15 minutes.",
            _formula("IF(runs > 0, 0, 1)", runs=keeper.reaper.metric_invocations(**sums)),
            periods=3,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )


def _anchor(heading: str) -> str:
    """GitHub's link to a heading of a page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


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
