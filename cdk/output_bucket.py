"""The bucket that pictures are written to."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.logical_id import fix_logical_id
from cdk.nag import acknowledge
from configuration import platform as config_platform
from contract.objects import TASKS_PREFIX
from contract.queues import DEAD

LOGICAL_ID = "OutputBucket"
_DAY_S = 24 * 3600


class OutputBucket(Construct):
    """A private bucket that stays when the platform is removed.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        settings: How long pictures stay, and which web pages may load them.
        key: The key that encrypts objects; None leaves it to S3's own.

    Attributes:
        bucket: The bucket; its logical id is the same in every release.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: config_platform.OutputBucket, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            removal_policy=RemovalPolicy.RETAIN,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            # One data key for many objects, in place of one request to KMS for each.
            bucket_key_enabled=True if key else None,
            lifecycle_rules=_lifecycle(settings.expire_days),
            cors=_cors(settings.cors_origins),
        )
        fix_logical_id(self.bucket, LOGICAL_ID)
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            "Who wrote an object stands in the jobs table; server access logs would be a second bucket to keep and pay "
            "for. CloudTrail's data events can be switched on for this one.",
        )


def acknowledge_task_objects(role: iam.IRole) -> None:
    """Say to cdk-nag why a role may reach every object under ``_tasks/``."""
    acknowledge(
        role,
        f"AwsSolutions-IAM5[Resource::<{LOGICAL_ID}.Arn>/{TASKS_PREFIX}*]",
        "Objects there are named after jobs, which nobody knows before; the prefix is the platform's own.",
    )


def _lifecycle(expire_days: int | None) -> list[s3.LifecycleRule]:
    rules = [
        # The content of a task must outlive every queue that may hold its message.
        s3.LifecycleRule(id="tasks", prefix=TASKS_PREFIX, expiration=Duration.days(DEAD.retention_s // _DAY_S + 1)),
        s3.LifecycleRule(id="broken-uploads", abort_incomplete_multipart_upload_after=Duration.days(1)),
    ]
    if expire_days is not None:
        rules.append(s3.LifecycleRule(id="pictures", expiration=Duration.days(expire_days)))
    return rules


def _cors(origins: list[str]) -> list[s3.CorsRule] | None:
    if not origins:
        return None
    methods = [s3.HttpMethods.GET, s3.HttpMethods.HEAD]
    return [s3.CorsRule(allowed_methods=methods, allowed_origins=origins, allowed_headers=["*"], max_age=3600)]
