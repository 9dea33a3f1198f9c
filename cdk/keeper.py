"""Who answers for lost jobs: the keeper's two functions, and what calls them."""

from collections.abc import Mapping
from functools import partial

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.customer_key import use_statements
from cdk.messaging import RuntimeQueues
from cdk.output_bucket import acknowledge_task_objects
from cdk.python_function import PythonFunction
from configuration.config import Config
from contract.objects import TASKS_PREFIX
from contract.queues import KEEPER_TIMEOUT_S
from jobs.schema import DUE_INDEX

_MEMORY_MIB = 512


class Keeper(Construct):
    """The handler of returned messages, and the reaper of overdue jobs.

    The reaper runs once a minute and ends before a minute is over. That no two run at once is not enforced: reserved
    concurrency cannot be had in accounts that still have Lambda's first limit of 10, and each of its writes is on the
    condition that nobody was faster. A run that fails is not repeated: the next one does its work.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        config: The configuration.
        code: The bundle of package keeper.
        table: The jobs table.
        tasks: The topic of tasks.
        notices: The topic of notices.
        queues: Each runtime's queues, by its name.
        bucket: The output bucket.
        key: The operator's key.
        log_retention: How long logs are kept.

    Attributes:
        returned: The function that handles returned messages.
        reaper: The function that looks for overdue jobs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        code: lambda_.Code,
        table: dynamodb.ITable,
        tasks: sns.ITopic,
        notices: sns.ITopic,
        queues: Mapping[str, RuntimeQueues],
        bucket: s3.IBucket,
        key: kms.IKey | None,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        environment = {
            "JOBS_TABLE": table.table_name,
            "NOTICE_TOPIC_ARN": notices.topic_arn,
            "TASK_TOPIC_ARN": tasks.topic_arn,
            "OUTPUT_BUCKET": bucket.bucket_name,
            "START_TIMEOUT_S": f"{config.deadlines.start_seconds:g}",
            "QUEUE_PREFIX": config.queue_name(""),
        }

        function = partial(
            PythonFunction,
            self,
            code=code,
            environment=environment,
            timeout=Duration.seconds(KEEPER_TIMEOUT_S),
            memory_mib=_MEMORY_MIB,
            log_retention=log_retention,
            key=key,
        )
        self.returned = function(
            "Returned",
            handler="keeper.handlers.returned_handler",
            description="Ends jobs whose messages no agent brought to an end",
            grants=_returned_grants(table, notices, queues, key),
        ).function
        reaper = function(
            "Reaper",
            handler="keeper.handlers.reaper_handler",
            description="Looks at jobs that are overdue",
            grants=_reaper_grants(table, tasks, notices, bucket, key),
            retry_attempts=0,
        )
        acknowledge_task_objects(reaper.role)
        self.reaper = reaper.function
        self._feed(queues)
        self._schedule()

    def _feed(self, queues: Mapping[str, RuntimeQueues]) -> None:
        """Hand returned messages over; those that could not be handled are delivered again."""
        for runtime, its in queues.items():
            lambda_.EventSourceMapping(
                self,
                f"Returned-{runtime}",
                target=self.returned,
                event_source_arn=its.returned.queue_arn,
                report_batch_item_failures=True,
            )

    def _schedule(self) -> None:
        minute = Duration.minutes(1)
        target = targets.LambdaFunction(self.reaper, retry_attempts=0, max_event_age=minute)
        events.Rule(self, "Schedule", schedule=events.Schedule.rate(minute), targets=[target])


def _returned_grants(
    table: dynamodb.ITable, notices: sns.ITopic, queues: Mapping[str, RuntimeQueues], key: kms.IKey | None
) -> list[iam.PolicyStatement]:
    returned = [its.returned.queue_arn for its in queues.values()]
    dead = [its.dead.queue_arn for its in queues.values()]
    return [
        _allow(["dynamodb:UpdateItem"], [table.table_arn]),
        _allow(["sns:Publish"], [notices.topic_arn]),
        _allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], returned),
        _allow(["sqs:GetQueueUrl"], [*returned, *dead]),
        _allow(["sqs:SendMessage"], dead),
        *use_statements(key, "dynamodb", "sns", "sqs"),
    ]


def _reaper_grants(
    table: dynamodb.ITable, tasks: sns.ITopic, notices: sns.ITopic, bucket: s3.IBucket, key: kms.IKey | None
) -> list[iam.PolicyStatement]:
    return [
        _allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [table.table_arn]),
        _allow(["dynamodb:Query"], [f"{table.table_arn}/index/{DUE_INDEX}"]),
        _allow(["sns:Publish"], [tasks.topic_arn, notices.topic_arn]),
        _allow(["s3:GetObject"], [bucket.arn_for_objects(f"{TASKS_PREFIX}*")]),
        *use_statements(key, "dynamodb", "s3", "sns"),
    ]


def _allow(actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=resources)
