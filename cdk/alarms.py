"""Alarms on what hurts, each with its entry in the runbook."""

import re
from collections.abc import Iterator

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.alarm_conditions import Condition, platform_conditions, runtime_conditions
from cdk.alarm_topic import AlarmTopic
from cdk.metrics import AgentMetrics, Watched
from configuration.config import Config

RUNBOOK = "docs/operate.md"


class Alarms(Construct):
    """One alarm for each condition. With no addresses in config.yaml they show in the console and tell nobody.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        config: The configuration.
        watched: What is watched.
        key: The operator's key.

    Attributes:
        alarms: All alarms, by their name within the stack.
        topic: Where they are published when they are raised and when all is well again; None without addresses.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, config: Config, watched: Watched, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack_name = Stack.of(self).stack_name
        self.alarms = {condition.name: self._alarm(condition) for condition in self._conditions(config, watched)}
        self.topic: sns.Topic | None = None
        if emails := config.monitoring.alarm_emails:
            self.topic = AlarmTopic(self, "Mail", emails=emails, key=key).topic
            for alarm in self.alarms.values():
                alarm.add_alarm_action(actions.SnsAction(self.topic))
                alarm.add_ok_action(actions.SnsAction(self.topic))

    def _conditions(self, config: Config, watched: Watched) -> Iterator[Condition]:
        for runtime in config.models_runtime:
            agents = AgentMetrics(self._stack_name, runtime.name)
            yield from runtime_conditions(config, runtime, watched.queues[runtime.name], agents)
        yield from platform_conditions(watched)

    def _alarm(self, condition: Condition) -> cloudwatch.Alarm:
        missing = cloudwatch.TreatMissingData
        return cloudwatch.Alarm(
            self,
            condition.name,
            alarm_name=f"{self._stack_name}-{condition.name}",
            alarm_description=f"{condition.says} What to do: {RUNBOOK}#{anchor(condition.runbook)}",
            metric=condition.measure,
            threshold=condition.above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=condition.periods,
            treat_missing_data=missing.BREACHING if condition.raised_without_data else missing.NOT_BREACHING,
        )


def anchor(heading: str) -> str:
    """Where a page's heading is linked to, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
