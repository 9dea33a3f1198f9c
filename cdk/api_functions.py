"""The API's functions and what each may do: one answers at once, one as long as it takes, one finds the key."""

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
# It waits nearly all of its time, and each request that waits holds an environment of its own. The largest request, in
# base64 within an event, takes a tenth of it; files are read piece by piece.
_STREAM_MEMORY_MIB = 512
_AUTHORIZER_MEMORY_MIB = 128
_AUTHORIZER_TIMEOUT_S = 5
_SERVICES = ("dynamodb", "s3", "secretsmanager", "sns")
"""Those that use the operator's key for what answers."""
_WRAPPER = "/var/task/api/stream_wrapper"
"""Lambda starts it instead of its own loop (its guide, "Modifying the runtime environment"), which cannot stream."""


class ApiFunctions(Construct):
    """The API's functions, which share a bundle.

    Attributes:
        door: Answers the requests that need no more time than API Gateway waits.
        stream: Answers those that last, such as for events, and those for bytes; and all dialects, whose requests wait.
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
        self._topics = [messaging.tasks.topic_arn, messaging.notices.topic_arn]
        self.door = self._door(scope)
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

    def _door(self, scope: Construct) -> lambda_.Function:
        # A caller can have a webhook sent again.
        replays = [] if self._webhooks is None else [allow(["sqs:SendMessage"], [self._webhooks.queue_arn])]
        door = PythonFunction(
            scope,
            "Handler",
            context=self._context,
            description="Answers requests, and publishes those for jobs as tasks",
            grants=[
                *self._jobs(),
                self._objects("s3:PutObject", WORKFLOWS_PREFIX),
                self._objects("s3:DeleteObject", WORKFLOWS_PREFIX),
                *replays,
                *self._context.key_statements(*_SERVICES, *(["sqs"] if replays else [])),
            ],
            code=self._code,
            handler="api.handlers.handler",
            environment=self._environment,
            timeout=Duration.seconds(INTEGRATION_TIMEOUT_S - 1),
            memory_size=_MEMORY_MIB,
        )
        acknowledge_objects(door.role, TASKS_PREFIX, FILES_PREFIX, WORKFLOWS_PREFIX, "")
        return door.function

    def _stream(self) -> lambda_.Function:
        stream = PythonFunction(
            self,
            "Stream",
            context=self._context,
            description="Answers requests that last, or whose answers are large",
            grants=[*self._jobs(), *self._context.key_statements(*_SERVICES)],
            code=self._code,
            handler="api.stream_handler.main",
            environment={**self._environment, "AWS_LAMBDA_EXEC_WRAPPER": _WRAPPER},
            timeout=Duration.seconds(STREAM_TIMEOUT_S),
            memory_size=_STREAM_MEMORY_MIB,
        )
        acknowledge_objects(stream.role, TASKS_PREFIX, FILES_PREFIX, "")
        return stream.function

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

    def _jobs(self) -> list[iam.PolicyStatement]:
        """Submit, find and cancel jobs, keep and delete callers' files, and read what is in the bucket."""
        table, bucket = self._kept.table, self._kept.bucket
        # A transaction of puts requires PutItem (DynamoDB's guide, "IAM with transactions").
        on_jobs = ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "BatchGetItem")
        indexes = [f"{table.table_arn}/index/{index}" for index in (QUEUE_INDEX, TENANT_INDEX)]
        return [
            allow([f"dynamodb:{call}" for call in on_jobs], [table.table_arn]),
            allow(["dynamodb:Query"], indexes),
            allow(["sns:Publish"], self._topics),
            self._objects("s3:PutObject", TASKS_PREFIX, FILES_PREFIX),
            self._objects("s3:DeleteObject", FILES_PREFIX),
            allow(["s3:ListBucket"], [bucket.bucket_arn], {"StringLike": {"s3:prefix": f"{WORKFLOWS_PREFIX}*"}}),
            # Results too: a link to one is signed with the role's own rights.
            self._objects("s3:GetObject", ""),
            allow(["secretsmanager:GetSecretValue"], [self._kept.secret.secret_arn]),
        ]

    def _objects(self, action: str, *prefixes: str) -> iam.PolicyStatement:
        return allow([action], [self._kept.bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes])
