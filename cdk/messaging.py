"""How tasks reach their runtime, and notices their subscribers: topics and queues."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_xray as xray
from constructs import Construct

from cdk.context import Context
from cdk.escape_hatches import fix_logical_id
from configuration.routing import subscription_filter
from contract.queues import DEAD, FUNCTION_TASKS, RETURNED, TASKS, Priority, QueueSettings
from runtimes.catalog import DeployedRuntime, RuntimeCatalog


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeQueues:
    """A runtime's queues.

    ``by_priority`` have its tasks, where it has no priorities as normal ones; ``returned`` has what was delivered too
    often, and ``dead`` what failed for good.
    """

    by_priority: Mapping[Priority, sqs.Queue]
    returned: sqs.Queue
    dead: sqs.Queue

    @property
    def main(self) -> sqs.Queue:
        """The queue of normal tasks."""
        return self.by_priority[Priority.NORMAL]


class Messaging(Construct):
    """Both topics, and the queues of each runtime, the disabled ones too: they still have tasks.

    Without a key of the operator's the topics are encrypted with the account's ``aws/sns``, which every publisher in
    the account may use, and the queues with SQS's own key. A topic can deliver to a queue under that one, but not to
    one under the account's ``aws/sqs``, whose policy nobody can change. With a key, its policy must name SNS
    (``configuration.key_policy``).

    A message's group, for fair queues, needs nothing of a standard queue.

    Attributes:
        tasks: Tasks are published here, by the API and by any role of this account that may publish.
        notices: Notices are published here.
        queues: Each runtime's queues, by its name.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context) -> None:
        super().__init__(scope, construct_id)
        config = context.config
        self._key = context.key
        self._settings = TASKS if config.has_cluster else FUNCTION_TASKS
        self.tasks = self._topic("Tasks")
        self.notices = self._topic("Notices")
        self._trace(context.name)
        self.queues: Mapping[str, RuntimeQueues] = {
            runtime.name: self._queues(runtime.deployed(config.deadlines), config.queue_name(runtime.name))
            for runtime in config.models_runtime
        }
        for deployed in config.catalog:
            for priority in deployed.priorities:
                self._subscribe(deployed, config.catalog, priority)

    def _topic(self, name: str) -> sns.Topic:
        key = self._key or kms.Alias.from_alias_name(self, f"{name}Key", "alias/aws/sns")
        topic = sns.Topic(self, name, master_key=key, enforce_ssl=True, tracing_config=sns.TracingConfig.ACTIVE)
        fix_logical_id(topic, f"{name}Topic")
        return topic

    def _trace(self, stack_name: str) -> None:
        """Let the topics send their part of a trace; X-Ray needs a policy of its own for that (SNS's guide)."""
        statement = iam.PolicyStatement(
            principals=[iam.ServicePrincipal("sns.amazonaws.com")],
            actions=["xray:PutTraceSegments", "xray:GetSamplingRules", "xray:GetSamplingTargets"],
            resources=["*"],
            conditions={
                "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                "ArnLike": {"aws:SourceArn": [self.tasks.topic_arn, self.notices.topic_arn]},
            },
        )
        document = Stack.of(self).to_json_string(iam.PolicyDocument(statements=[statement]))
        xray.CfnResourcePolicy(self, "Tracing", policy_name=f"{stack_name}-topics", policy_document=document)

    def _queues(self, runtime: DeployedRuntime, name: str) -> RuntimeQueues:
        dead = self._queue("Dead", runtime.name, name, DEAD, None)
        returned = self._queue("Returned", runtime.name, name, RETURNED, dead)
        by_priority = {
            priority: self._queue(
                priority.suffix.removeprefix("-").title(),
                runtime.name,
                f"{name}{priority.suffix}",
                self._settings,
                returned,
            )
            for priority in runtime.priorities
        }
        return RuntimeQueues(by_priority=by_priority, returned=returned, dead=dead)

    def _queue(self, kind: str, runtime: str, name: str, settings: QueueSettings, then: sqs.Queue | None) -> sqs.Queue:
        # A logical id takes no hyphens; runtimes have no capitals, so no two get the same.
        logical_id = f"{kind}Queue{runtime.replace('-', 'Dash')}"
        redrive = None
        if then is not None and settings.max_receives is not None:
            redrive = sqs.DeadLetterQueue(queue=then, max_receive_count=settings.max_receives)
        queue = sqs.Queue(
            self,
            logical_id,
            queue_name=f"{name}{settings.suffix}",
            visibility_timeout=Duration.seconds(settings.visibility_s),
            retention_period=Duration.seconds(settings.retention_s),
            dead_letter_queue=redrive,
            encryption=sqs.QueueEncryption.KMS if self._key else sqs.QueueEncryption.SQS_MANAGED,
            encryption_master_key=self._key,
            enforce_ssl=True,
        )
        fix_logical_id(queue, logical_id)
        return queue

    def _subscribe(self, runtime: DeployedRuntime, catalog: RuntimeCatalog, priority: Priority) -> None:
        """Subscribe a runtime's queue to its tasks; the queue takes messages of that topic alone."""
        queue = self.queues[runtime.name].by_priority[priority]
        allowed = queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("sns.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": self.tasks.topic_arn}},
            )
        )
        # CDK's own subscription knows no $or in a filter.
        subscription = sns.CfnSubscription(
            self,
            f"Subscription{queue.node.id}",
            topic_arn=self.tasks.topic_arn,
            protocol="sqs",
            endpoint=queue.queue_arn,
            filter_policy=subscription_filter(runtime, catalog, priority),
        )
        if allowed.policy_dependable is not None:
            subscription.node.add_dependency(allowed.policy_dependable)
