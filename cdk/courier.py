"""Webhooks: the courier's two functions, and the queue in which deliveries wait."""

from functools import partial

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.bundles import lambda_code
from cdk.context import Context, allow
from cdk.messaging import Messaging
from cdk.nag import acknowledge
from cdk.python_function import PythonFunction
from cdk.storage import Kept
from contract.notice import WEBHOOK_ATTRIBUTE
from contract.queues import COURIER, COURIER_TIMEOUT_S, DEAD, QueueSettings

_MEMORY_MIB = 512
_MAX_CONCURRENCY = 20
"""Slow receivers must not take all of the account's concurrent executions away from the API."""
_MAX_CHANGE_AGE = Duration.hours(1)
"""Older changes are dropped: a record that cannot be handled holds up all that follow."""


class CourierFunctions(Construct):
    """The courier: notices and the table's changes come in, webhooks go out.

    Only the changes of jobs with a webhook wake it. Its queues have names of CDK's, with capitals, which no runtime's
    have.

    Attributes:
        queue: Deliveries that wait, and notices.
        dead: Deliveries that no receiver has accepted.
        deliver: The function that posts webhooks.
        changes: The function that reads the table's stream.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, context: Context, kept: Kept, messaging: Messaging
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead = self._queue("DeadQueue", context, DEAD, None)
        self.queue = self._queue("Queue", context, COURIER, self.dead)
        function = partial(
            PythonFunction,
            self,
            context=context,
            code=lambda_code("courier"),
            environment={
                "JOBS_TABLE": kept.table.table_name,
                "OUTPUT_BUCKET": kept.bucket.bucket_name,
                "SIGNING_SECRET_ARN": kept.secret.secret_arn,
                "COURIER_QUEUE_URL": self.queue.queue_url,
                "COURIER_DEAD_QUEUE_URL": self.dead.queue_url,
                "ALLOW_PRIVATE_ADDRESSES": str(context.config.webhooks.allow_private_addresses).lower(),
            },
            timeout=Duration.seconds(COURIER_TIMEOUT_S),
            memory_size=_MEMORY_MIB,
        )
        table, queue = kept.table, self.queue.queue_arn
        common = [
            allow(["secretsmanager:GetSecretValue"], [kept.secret.secret_arn]),
            *context.key_statements("dynamodb", "secretsmanager", "sqs"),
        ]
        self.deliver = function(
            "Deliver",
            handler="courier.handlers.queue_handler",
            description="Posts webhooks",
            grants=[
                allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [table.table_arn]),
                allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [queue]),
                allow(["sqs:SendMessage"], [queue, self.dead.queue_arn]),
                *common,
            ],
        ).function
        stream = f"{table.table_arn}/stream/*"
        reading = [f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")]
        changes = function(
            "Changes",
            handler="courier.handlers.stream_handler",
            description="Finds events for webhooks in the changes of jobs",
            grants=[allow(reading, [stream]), allow(["sqs:SendMessage"], [queue]), *common],
        )
        acknowledge(
            changes.role,
            "AwsSolutions-IAM5[Resource::<JobsTable.Arn>/stream/*]",
            "A stream is named after the time at which it was made.",
        )
        self.changes = changes.function
        self._wake(kept, messaging)

    def _queue(self, name: str, context: Context, settings: QueueSettings, then: sqs.Queue | None) -> sqs.Queue:
        redrive = None
        if then is not None and settings.max_receives is not None:
            redrive = sqs.DeadLetterQueue(queue=then, max_receive_count=settings.max_receives)
        return sqs.Queue(
            self,
            name,
            visibility_timeout=Duration.seconds(settings.visibility_s),
            retention_period=Duration.seconds(settings.retention_s),
            dead_letter_queue=redrive,
            encryption=sqs.QueueEncryption.KMS if context.key else sqs.QueueEncryption.SQS_MANAGED,
            encryption_master_key=context.key,
            enforce_ssl=True,
        )

    def _wake(self, kept: Kept, messaging: Messaging) -> None:
        # Notices of jobs without a webhook would cost as much as those that are sent on.
        with_webhook = {WEBHOOK_ATTRIBUTE: sns.SubscriptionFilter.string_filter(allowlist=["true"])}
        messaging.notices.add_subscription(
            subscriptions.SqsSubscription(self.queue, raw_message_delivery=True, filter_policy=with_webhook)
        )
        lambda_.EventSourceMapping(
            self,
            "Deliveries",
            target=self.deliver,
            event_source_arn=self.queue.queue_arn,
            max_concurrency=_MAX_CONCURRENCY,
            report_batch_item_failures=True,
        )
        if kept.table.table_stream_arn is None:  # while an older table gets its indexes
            return
        has_webhook = {"dynamodb": {"NewImage": {"webhook": {"S": lambda_.FilterRule.exists()}}}}
        lambda_.EventSourceMapping(
            self,
            "TableChanges",
            target=self.changes,
            event_source_arn=kept.table.table_stream_arn,
            starting_position=lambda_.StartingPosition.LATEST,
            filters=[
                lambda_.FilterCriteria.filter({"eventName": lambda_.FilterRule.is_equal("MODIFY"), **has_webhook})
            ],
            batch_size=100,
            max_batching_window=Duration.seconds(1),
            max_record_age=_MAX_CHANGE_AGE,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
        )
