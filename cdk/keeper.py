"""What answers for lost jobs: the keeper's two functions, and what calls them."""

from functools import partial

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.bundles import lambda_code
from cdk.context import Context, allow
from cdk.messaging import Messaging
from cdk.python_function import PythonFunction
from cdk.storage import Kept, acknowledge_objects
from contract.objects import TASKS_PREFIX
from contract.queues import KEEPER_TIMEOUT_S
from jobs.schema import DUE_INDEX


class KeeperFunctions(Construct):
    """The handler of returned messages, and the reaper of overdue jobs.

    The reaper runs once a minute and ends before a minute is over. That no two run at once is not enforced: reserved
    concurrency cannot be had in accounts that still have Lambda's first limit of 10, and each of its writes is on the
    condition that no other write came first. A run that fails is not repeated: the next one does its work.

    ``returned`` and ``reaper`` are the two functions.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, context: Context, kept: Kept, messaging: Messaging
    ) -> None:
        super().__init__(scope, construct_id)
        function = partial(
            PythonFunction,
            self,
            context=context,
            code=lambda_code("keeper"),
            environment={
                "JOBS_TABLE": kept.table.table_name,
                "NOTICE_TOPIC_ARN": messaging.notices.topic_arn,
                "TASK_TOPIC_ARN": messaging.tasks.topic_arn,
                "OUTPUT_BUCKET": kept.bucket.bucket_name,
                "START_TIMEOUT_S": f"{context.config.deadlines.start_seconds:g}",
                "QUEUE_PREFIX": context.config.queue_name(""),
            },
            timeout=Duration.seconds(KEEPER_TIMEOUT_S),
            memory_size=512,
        )
        self.returned = function(
            "Returned",
            handler="keeper.handlers.exhausted_handler",
            description="Ends jobs whose messages no agent brought to an end",
            grants=_grants_of_returned(context, kept, messaging),
        ).function
        reaper = function(
            "Reaper",
            handler="keeper.handlers.reaper_handler",
            description="Looks at jobs that are overdue",
            grants=_grants_of_reaper(context, kept, messaging),
            retry_attempts=0,
        )
        acknowledge_objects(reaper.role, TASKS_PREFIX)
        self.reaper = reaper.function
        for runtime, its in messaging.queues.items():
            lambda_.EventSourceMapping(
                self,
                f"Returned-{runtime}",
                target=self.returned,
                event_source_arn=its.returned.queue_arn,
                report_batch_item_failures=True,
            )
        minute = Duration.minutes(1)
        target = targets.LambdaFunction(self.reaper, retry_attempts=0, max_event_age=minute)
        events.Rule(self, "Schedule", schedule=events.Schedule.rate(minute), targets=[target])


def _grants_of_returned(context: Context, kept: Kept, messaging: Messaging) -> list[iam.PolicyStatement]:
    returned = [its.returned.queue_arn for its in messaging.queues.values()]
    dead = [its.dead.queue_arn for its in messaging.queues.values()]
    return [
        allow(["dynamodb:UpdateItem"], [kept.table.table_arn]),
        allow(["sns:Publish"], [messaging.notices.topic_arn]),
        allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], returned),
        allow(["sqs:GetQueueUrl"], [*returned, *dead]),
        allow(["sqs:SendMessage"], dead),
        *context.key_statements("dynamodb", "sns", "sqs"),
    ]


def _grants_of_reaper(context: Context, kept: Kept, messaging: Messaging) -> list[iam.PolicyStatement]:
    waiting = [one.queue_arn for its in messaging.queues.values() for one in its.by_priority.values()]
    return [
        allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [kept.table.table_arn]),
        allow(["dynamodb:Query"], [f"{kept.table.table_arn}/index/{DUE_INDEX}"]),
        allow(["sns:Publish"], [messaging.tasks.topic_arn, messaging.notices.topic_arn]),
        allow(["s3:GetObject"], [kept.bucket.arn_for_objects(f"{TASKS_PREFIX}*")]),
        allow(["sqs:GetQueueUrl", "sqs:GetQueueAttributes"], waiting),
        *context.key_statements("dynamodb", "s3", "sns"),
    ]
