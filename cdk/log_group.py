"""A log group that forgets."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct


def log_group(
    scope: Construct, construct_id: str, *, retention: logs.RetentionDays, key: kms.IKey | None, name: str | None = None
) -> logs.LogGroup:
    """Make a log group, which goes when the platform is removed.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        retention: How long it keeps what is logged.
        key: The operator's key; None leaves it to CloudWatch's own.
        name: Its name in AWS, where whoever logs decides it. Default: CloudFormation's choice.
    """
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        retention=retention,
        encryption_key=key,
        removal_policy=RemovalPolicy.DESTROY,
    )
