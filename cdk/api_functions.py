"""The API's functions and what each may do: one answers requests, one streams a job's events, one finds the key."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.bundles import lambda_code
from cdk.context import Context, allow
from cdk.icons import IconFunction
from cdk.messaging import Messaging
from cdk.python_function import PythonFunction
from cdk.storage import Kept, acknowledge_objects
from configuration.gateway import INTEGRATION_TIMEOUT_S, STREAM_TIMEOUT_S
from contract.objects import FILES_PREFIX, TASKS_PREFIX, WORKFLOWS_PREFIX
from jobs.schema import QUEUE_INDEX, TENANT_INDEX

# A cold start loads botocore and pydantic; with less memory, and so less CPU, it takes seconds.
_MEMORY_MIB = 1024
# A stream waits nearly all of its time, and each holds an environment of its own.
_STREAM_MEMORY_MIB = 512
_AUTHORIZER_MEMORY_MIB = 128
_AUTHORIZER_TIMEOUT_S = 5
_WRAPPER = "/var/task/api/stream_wrapper"
"""Lambda starts it instead of its own loop (its guide, "Modifying the runtime environment"), which cannot stream."""


class ApiFunctions(Construct):
    """The API's functions, which share a bundle.

    Attributes:
        door: Answers all requests but those for events.
        stream: Streams the events of a job.
        authorizer: Finds a request's key.
        icons: Answers requests for icons; None where there is no icon library.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        kept: Kept,
        messaging: Messaging,
        webhooks: sqs.IQueue | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._context, self._kept, self._webhooks = context, kept, webhooks
        config = context.config
        self._code = lambda_code("api", config.catalog, console=config.apigw.console)
        self._environment = {
            "TASK_TOPIC_ARN": messaging.tasks.topic_arn,
            "NOTICE_TOPIC_ARN": messaging.notices.topic_arn,
            "OUTPUT_BUCKET": kept.bucket.bucket_name,
            "JOBS_TABLE": kept.table.table_name,
            "SIGNING_SECRET_ARN": kept.secret.secret_arn,
            "KEEP_REQUESTS": str(config.keep_requests).lower(),
            "COURIER_QUEUE_URL": "" if webhooks is None else webhooks.queue_url,
            "ALLOW_PRIVATE_ADDRESSES": str(config.webhooks.allow_private_addresses).lower(),
            "CORS_ORIGINS": " ".join(config.apigw.cors_origins),
        }
        topics = [messaging.tasks.topic_arn, messaging.notices.topic_arn]
        self.door = self._door(scope, topics)
        self.stream = self._stream()
        self.authorizer = self._authorizer()
        self.icons: lambda_.Function | None = None
        if config.icons is not None:
            of_icons = IconFunction(
                self, "Icons", context=context, kept=kept, environment=self._environment, icons=config.icons
            )
            self.icons = of_icons.function

    def name_keys(self, keys: str) -> None:
        """Tell the functions what each API key may do: JSON, as ``api.http.Caller.of`` reads it."""
        for function in filter(None, (self.door, self.stream, self.icons)):
            function.add_environment("API_KEYS", keys)

    def _door(self, scope: Construct, topics: list[str]) -> lambda_.Function:
        table, bucket = self._kept.table, self._kept.bucket
        # A transaction of puts requires PutItem (DynamoDB's guide, "IAM with transactions").
        on_jobs = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        callers = [FILES_PREFIX, WORKFLOWS_PREFIX]
        written = [TASKS_PREFIX, *callers]
        # A caller can have a webhook sent again.
        replays = [] if self._webhooks is None else [allow(["sqs:SendMessage"], [self._webhooks.queue_arn])]
        services = ("dynamodb", "s3", "secretsmanager", "sns", *(["sqs"] if replays else []))
        door = PythonFunction(
            scope,
            "Handler",
            context=self._context,
            description="Answers requests, and publishes those for jobs as tasks",
            grants=[
                allow([*on_jobs, "dynamodb:GetItem", "dynamodb:BatchGetItem"], [table.table_arn]),
                self._queries(QUEUE_INDEX, TENANT_INDEX),
                allow(["sns:Publish"], topics),
                allow(["s3:PutObject"], [bucket.arn_for_objects(f"{prefix}*") for prefix in written]),
                allow(["s3:DeleteObject"], [bucket.arn_for_objects(f"{prefix}*") for prefix in callers]),
                allow(["s3:ListBucket"], [bucket.bucket_arn], {"StringLike": {"s3:prefix": f"{WORKFLOWS_PREFIX}*"}}),
                # Results too: a link to one is signed with the role's own rights.
                allow(["s3:GetObject"], [bucket.arn_for_objects("*")]),
                self._signs(),
                *replays,
                *self._context.key_statements(*services),
            ],
            code=self._code,
            handler="api.handlers.handler",
            environment=self._environment,
            timeout=Duration.seconds(INTEGRATION_TIMEOUT_S - 1),
            memory_size=_MEMORY_MIB,
        )
        acknowledge_objects(door.role, *written, "")
        return door.function

    def _stream(self) -> lambda_.Function:
        return PythonFunction(
            self,
            "Stream",
            context=self._context,
            description="Streams the events of jobs",
            grants=[
                allow(["dynamodb:GetItem"], [self._kept.table.table_arn]),
                self._queries(QUEUE_INDEX),
                self._signs(),
                *self._context.key_statements("dynamodb", "secretsmanager"),
            ],
            code=self._code,
            handler="api.stream_handler.main",
            environment={**self._environment, "AWS_LAMBDA_EXEC_WRAPPER": _WRAPPER},
            timeout=Duration.seconds(STREAM_TIMEOUT_S),
            memory_size=_STREAM_MEMORY_MIB,
        ).function

    def _authorizer(self) -> lambda_.Function:
        return PythonFunction(
            self,
            "Authorizer",
            context=self._context,
            description="Finds the API key of a request",
            grants=[],
            code=self._code,
            handler="api.authorizer.handler",
            timeout=Duration.seconds(_AUTHORIZER_TIMEOUT_S),
            memory_size=_AUTHORIZER_MEMORY_MIB,
            # Lambda's own lines on each call cost more than the call.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
        ).function

    def _queries(self, *indexes: str) -> iam.PolicyStatement:
        return allow(["dynamodb:Query"], [f"{self._kept.table.table_arn}/index/{index}" for index in indexes])

    def _signs(self) -> iam.PolicyStatement:
        return allow(["secretsmanager:GetSecretValue"], [self._kept.secret.secret_arn])
