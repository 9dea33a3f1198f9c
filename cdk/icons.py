"""The icon library: a function that answers its part of the API, and a bucket for the vectors of descriptions."""

from collections.abc import Mapping

from aws_cdk import Aws, Duration, Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3vectors as s3vectors
from constructs import Construct

from cdk.bundles import lambda_code
from cdk.context import Context, allow
from cdk.nag import acknowledge
from cdk.python_function import PythonFunction
from cdk.storage import Kept, acknowledge_objects
from configuration.gateway import INTEGRATION_TIMEOUT_S
from configuration.icons import TITAN_MODEL, Icons
from contract.objects import ICONS_PREFIX
from jobs.schema import QUEUE_INDEX, TENANT_INDEX

_VECTORS_ID = "IconVectors"
# The words of a large library, and a picture while its ground is cut out; who waits for a job pays for memory, too.
_MEMORY_MIB = 1024
_ON_VECTORS = ("QueryVectors", "GetVectors", "PutVectors", "DeleteVectors", "ListVectors")
_ON_INDEXES = ("CreateIndex", "GetIndex", "DeleteIndex", "UpdateIndexMode")


class IconFunction(Construct):
    """Answers ``/v1/icons`` in a function of its own, so that the door's stays small.

    The vector bucket is removed with the stack: an index can be rebuilt from the library, which the output bucket has.

    Attributes:
        function: The function.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        kept: Kept,
        environment: Mapping[str, str],
        icons: Icons,
    ) -> None:
        super().__init__(scope, construct_id)
        table, bucket = kept.table, kept.bucket
        library = bucket.arn_for_objects(f"{ICONS_PREFIX}*")
        vectors = self._vector_bucket() if icons.embeddings == "titan" else None
        made = PythonFunction(
            self,
            "Handler",
            context=context,
            description="Finds icons, and has missing ones drawn",
            grants=[
                allow(
                    ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
                    [table.table_arn],
                ),
                allow(["dynamodb:DeleteItem"], [table.table_arn]),  # of a job that could not be published
                # The report reads one index, and a key's limit of waiting jobs the other.
                allow(["dynamodb:Query"], [f"{table.table_arn}/index/{one}" for one in (QUEUE_INDEX, TENANT_INDEX)]),
                allow(["sns:Publish"], [environment["TASK_TOPIC_ARN"]]),
                # A request for an icon is short, and so is kept in the table.
                allow(["s3:PutObject", "s3:DeleteObject"], [library]),
                allow(["s3:ListBucket"], [bucket.bucket_arn], {"StringLike": {"s3:prefix": f"{ICONS_PREFIX}*"}}),
                # Pictures that jobs drew, and those of a library that an operator keeps elsewhere in the bucket.
                allow(["s3:GetObject"], [bucket.arn_for_objects("*")]),
                allow(["secretsmanager:GetSecretValue"], [kept.secret.secret_arn]),
                *([] if vectors is None else self._rights(vectors)),
                *context.key_statements("dynamodb", "s3", "secretsmanager", "sns"),
            ],
            code=lambda_code("icons", context.config.catalog),
            handler="api.handlers.handler",
            environment={
                **environment,
                "ICONS": icons.settings(embeddings=icons.embeddings, vector_bucket=_name_of(vectors)),
            },
            timeout=Duration.seconds(INTEGRATION_TIMEOUT_S - 1),
            memory_size=_MEMORY_MIB,
        )
        acknowledge_objects(made.role, ICONS_PREFIX, "")
        self.function: lambda_.Function = made.function
        if vectors is not None:
            acknowledge(
                made.role,
                f"AwsSolutions-IAM5[Resource::<{_VECTORS_ID}.VectorBucketArn>/index/*]",
                "Each rebuild makes an index of a new name in the platform's own vector bucket.",
            )

    def _vector_bucket(self) -> s3vectors.CfnVectorBucket:
        # Its keys are S3 Vectors' own: with another one, that key's policy would have to name the service.
        vectors = s3vectors.CfnVectorBucket(self, "Vectors")
        vectors.override_logical_id(_VECTORS_ID)
        return vectors

    def _rights(self, vectors: s3vectors.CfnVectorBucket) -> list[iam.PolicyStatement]:
        arn = vectors.attr_vector_bucket_arn
        model = f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}::foundation-model/{TITAN_MODEL}"
        return [
            allow([f"s3vectors:{name}" for name in (*_ON_VECTORS, *_ON_INDEXES)], [f"{arn}/index/*"]),
            allow(["s3vectors:ListIndexes"], [arn]),
            allow(["bedrock:InvokeModel"], [model]),
        ]


def _name_of(vectors: s3vectors.CfnVectorBucket | None) -> str:
    """The bucket's name, which ends its ARN; "" for none."""
    return "" if vectors is None else Fn.select(1, Fn.split("/", vectors.attr_vector_bucket_arn))
