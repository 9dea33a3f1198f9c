"""How long logs are kept, as CDK calls it."""

from aws_cdk import aws_logs as logs

from configuration.platform import LOG_RETENTION_DAYS

_NAMES = [name for name in logs.RetentionDays if name is not logs.RetentionDays.INFINITE]


def log_retention(days: int) -> logs.RetentionDays:
    """CDK's name for one of the periods that CloudWatch offers; both lists are in order.

    Args:
        days: One of LOG_RETENTION_DAYS.
    """
    return dict(zip(LOG_RETENTION_DAYS, _NAMES, strict=True))[days]
