"""What is kept, and stays when the platform is removed: the jobs, and the bucket of pictures."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk.context import Context
from cdk.escape_hatches import fix_logical_id
from cdk.nag import acknowledge
from configuration.config import Config
from configuration.lifetimes import lifetimes
from jobs.schema import DEFINITION, RETENTION_S, TTL_ATTRIBUTE

BUCKET_ID = "OutputBucket"
_TYPES = {"S": dynamodb.AttributeType.STRING, "N": dynamodb.AttributeType.NUMBER}
_PARTS = "jobsTable"
"""A value of CDK's context, which deploy/deploy.sh sets."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The jobs table and the output bucket, and the root secret beside them."""

    table: dynamodb.ITable
    bucket: s3.IBucket
    secret: secretsmanager.ISecret


def jobs_table(scope: Construct, context: Context) -> dynamodb.Table:
    """Make the table of jobs, in the shape that its schema gives it; its logical id is the same in every release.

    CloudFormation adds one index to a table in each update (its guide, "AWS::DynamoDB::Table"), so an older table gets
    them in several: the context value jobsTable names those that this update ends with, and "stream" if there is one
    already. A new stream comes with the last update.
    """
    parts = scope.node.try_get_context(_PARTS)
    # Webhooks alone read it.
    has_stream = context.config.webhooks.enabled and (parts is None or "stream" in parts.split(","))
    table = dynamodb.Table(
        scope,
        "Table",
        **_keys(DEFINITION["KeySchema"]),
        time_to_live_attribute=TTL_ATTRIBUTE,
        billing_mode=dynamodb.BillingMode(DEFINITION["BillingMode"]),
        point_in_time_recovery_specification={"point_in_time_recovery_enabled": True},
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if context.key else None,
        encryption_key=context.key,
        stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if has_stream else None,
        removal_policy=RemovalPolicy.RETAIN,
    )
    for index in DEFINITION["GlobalSecondaryIndexes"]:
        if parts is not None and index["IndexName"] not in parts.split(","):
            continue
        table.add_global_secondary_index(
            index_name=index["IndexName"],
            **_keys(index["KeySchema"]),
            projection_type=dynamodb.ProjectionType(index["Projection"]["ProjectionType"]),
            non_key_attributes=index["Projection"].get("NonKeyAttributes"),
        )
    fix_logical_id(table, "JobsTable")
    return table


def _keys(schema: list[dict[str, str]]) -> dict[str, Any]:
    """A key schema as CDK's arguments."""
    types = {one["AttributeName"]: _TYPES[one["AttributeType"]] for one in DEFINITION["AttributeDefinitions"]}
    arguments = {"HASH": "partition_key", "RANGE": "sort_key"}
    return {
        arguments[key["KeyType"]]: dynamodb.Attribute(name=key["AttributeName"], type=types[key["AttributeName"]])
        for key in schema
    }


def picture_bucket(scope: Construct, context: Context) -> s3.Bucket:
    """Make the private bucket that pictures are written to; its logical id is the same in every release."""
    settings = context.config.output_bucket
    cors = s3.CorsRule(
        allowed_methods=[s3.HttpMethods.GET, s3.HttpMethods.HEAD, s3.HttpMethods.PUT],
        allowed_origins=settings.cors_origins,
        allowed_headers=["*"],
        max_age=3600,
    )
    bucket = s3.Bucket(
        scope,
        "Bucket",
        removal_policy=RemovalPolicy.RETAIN,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        encryption=s3.BucketEncryption.KMS if context.key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=context.key,
        # One data key for many objects, in place of one request to KMS for each.
        bucket_key_enabled=True if context.key else None,
        lifecycle_rules=_lifecycle(context.config),
        cors=[cors] if settings.cors_origins else None,
    )
    fix_logical_id(bucket, BUCKET_ID)
    acknowledge(
        bucket,
        "AwsSolutions-S1",
        "The jobs table says who wrote an object; server access logs would be a second bucket to keep and pay for. "
        "CloudTrail's data events can be switched on for this one.",
    )
    return bucket


def acknowledge_objects(role: iam.IRole, *prefixes: str) -> None:
    """Tell cdk-nag why a role may reach every object under prefixes; "" stands for the whole bucket."""
    for prefix in prefixes:
        acknowledge(
            role,
            f"AwsSolutions-IAM5[Resource::<{BUCKET_ID}.Arn>/{prefix}*]",
            "Objects are named after jobs and by callers, not known beforehand; the bucket is the platform's.",
        )


def _lifecycle(config: Config) -> list[s3.LifecycleRule]:
    rules = [
        s3.LifecycleRule(id=name, prefix=prefix, expiration=Duration.days(number))
        for name, (prefix, number) in lifetimes(config, jobs_kept_s=RETENTION_S).items()
    ]
    rules.append(s3.LifecycleRule(id="broken-uploads", abort_incomplete_multipart_upload_after=Duration.days(1)))
    if (expire_days := config.output_bucket.expire_days) is not None:
        rules.append(s3.LifecycleRule(id="pictures", expiration=Duration.days(expire_days)))
    return rules
