"""The way of a task outside the cluster: what takes it, carries it, and answers for it when it is lost."""

from collections.abc import Callable

from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.front_door import FrontDoor
from cdk.jobs_table import JobsTable
from cdk.keeper import Keeper
from cdk.lambda_code import Package
from cdk.messaging import Messaging
from cdk.output_bucket import OutputBucket
from configuration.config import Config


class TaskFlow(Construct):
    """Front door, topics, queues, jobs table, keeper and output bucket: all that needs no cluster.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        config: The configuration.
        code_of: Gives the bundle of a package.
        key: The operator's key.
        log_retention: How long logs are kept.

    Attributes:
        bucket: Where pictures go.
        table: The jobs.
        messaging: Topics and queues.
        keeper: Answers for lost jobs.
        door: The API.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        code_of: Callable[[Package], lambda_.Code],
        key: kms.IKey | None,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = OutputBucket(self, "Output", settings=config.output_bucket, key=key).bucket
        self.table = JobsTable(self, "Jobs", key=key).table
        self.messaging = Messaging(self, "Messaging", config=config, key=key)
        self.keeper = Keeper(
            self,
            "Keeper",
            config=config,
            code=code_of("keeper"),
            table=self.table,
            tasks=self.messaging.tasks,
            notices=self.messaging.notices,
            queues=self.messaging.queues,
            bucket=self.bucket,
            key=key,
            log_retention=log_retention,
        )
        self.door = FrontDoor(
            self,
            "Door",
            config=config,
            code=code_of("api"),
            table=self.table,
            tasks=self.messaging.tasks,
            bucket=self.bucket,
            key=key,
            log_retention=log_retention,
        )
