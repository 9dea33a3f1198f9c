"""What a runtime's queue agents may do in AWS, in pods and in a function alike."""

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk.addons import model_statements
from cdk.context import Context, allow, owned_by
from cdk.nag import acknowledge, acknowledge_wildcards
from cdk.storage import BUCKET_ID, acknowledge_objects
from cdk.task_flow import TaskFlow
from configuration.config import ModelsRuntime
from runtimes.options import Place
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Managed


def agent_statements(context: Context, flow: TaskFlow, runtime: ModelsRuntime) -> list[iam.PolicyStatement]:
    """What a runtime's queue agents may do: use its own queues, what all runtimes share, and its managed service."""
    config, bucket, queues = context.config, flow.bucket, flow.messaging.queues[runtime.name]
    inputs = [bucket.arn_for_objects("*"), *(f"{arn}/*" for arn in config.input_bucket_arns)]
    taking = ["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    return [
        allow(taking, [queue.queue_arn for queue in queues.by_priority.values()]),
        allow(["sqs:SendMessage"], [queues.dead.queue_arn]),
        allow(["s3:PutObject", "s3:AbortMultipartUpload"], [bucket.arn_for_objects("*")], owned_by([])),
        allow(["s3:GetObject"], inputs, owned_by(config.bucket_accounts)),
        allow(["sns:Publish"], [flow.messaging.notices.topic_arn]),
        allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [flow.table.table_arn]),
        *(model_statements(context) if runtime.copies_models else []),
        *_service_statements(runtime),
        *_folder_statements(runtime, bucket),
        *context.key_statements("dynamodb", "s3", "sns", "sqs"),
    ]


def acknowledge_agent(context: Context, role: iam.IRole, runtime: ModelsRuntime) -> None:
    """Tell cdk-nag what makes the agents' statements with wildcards acceptable."""
    for bucket in (f"<{BUCKET_ID}.Arn>", *context.config.input_bucket_arns):
        acknowledge(
            role,
            f"AwsSolutions-IAM5[Resource::{bucket}/*]",
            "Keys of pictures and inputs are the tasks' choice; whatever tasks name must be there for them.",
        )
    if runtime.copies_models:
        acknowledge_wildcards(role, model_statements(context), "Reads every model that it copies, whatever its name.")
    if runtime.is_managed and (folder := runtime.managed.folder):
        acknowledge_objects(role, folder)
    acknowledge_wildcards(role, _service_statements(runtime), "What the type's own options name, and no more.")


def _folder_statements(runtime: ModelsRuntime, bucket: s3.IBucket) -> list[iam.PolicyStatement]:
    folder = runtime.managed.folder if runtime.is_managed else None
    return [allow(["s3:DeleteObject"], [bucket.arn_for_objects(f"{folder}*")], owned_by([]))] if folder else []


def _service_statements(runtime: ModelsRuntime) -> list[iam.PolicyStatement]:
    hosting = RUNTIME_TYPES[runtime.type].hosting
    if not isinstance(hosting, Managed):
        return []
    here = Place(partition=Aws.PARTITION, region=Aws.REGION, account=Aws.ACCOUNT_ID)
    return [allow(hosting.actions, runtime.managed.resources(here))]
