"""What a runtime's queue agent may do in AWS."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from cdk.bucket_owner import owned_by
from cdk.customer_key import use_statements
from cdk.messaging import RuntimeQueues


def agent_statements(
    *,
    queues: RuntimeQueues,
    bucket: s3.IBucket,
    input_bucket_arns: Sequence[str],
    bucket_accounts: Sequence[str] = (),
    notices: sns.ITopic,
    table: dynamodb.ITable,
    key: kms.IKey | None,
) -> list[iam.PolicyStatement]:
    """What the role of one runtime's pods grants: its own queues, and what all runtimes share.

    Args:
        queues: The runtime's.
        bucket: The output bucket.
        input_bucket_arns: Buckets besides it from which tasks may take inputs.
        bucket_accounts: Accounts besides this one that may own those.
        notices: The topic of notices.
        table: The jobs table.
        key: The operator's key.
    """
    inputs = [bucket.arn_for_objects("*"), *(f"{arn}/*" for arn in input_bucket_arns)]
    taking = ["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    return [
        _allow(taking, [queues.main.queue_arn]),
        _allow(["sqs:SendMessage"], [queues.dead.queue_arn]),
        _allow(["s3:PutObject", "s3:AbortMultipartUpload"], [bucket.arn_for_objects("*")], owned_by([])),
        _allow(["s3:GetObject"], inputs, owned_by(bucket_accounts)),
        _allow(["sns:Publish"], [notices.topic_arn]),
        _allow(["dynamodb:UpdateItem"], [table.table_arn]),
        *use_statements(key, "dynamodb", "s3", "sns", "sqs"),
    ]


def _allow(actions: list[str], resources: list[str], conditions: dict[str, Any] | None = None) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)
