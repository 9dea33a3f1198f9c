"""What the policy of an operator's KMS key must say, because AWS services use the key on no role's behalf.

A deployment cannot change the policy of a key that it did not make. With a key whose policy says less, log groups
cannot be made, and topics deliver nothing.
"""

from typing import Any

_DATA_KEYS = ["kms:Decrypt", "kms:GenerateDataKey"]


def service_statements(*, partition: str, url_suffix: str, region: str, account: str) -> list[dict[str, Any]]:
    """The statements as JSON, for an account in a partition (aws, aws-cn …) with its domain."""
    log_groups = f"arn:{partition}:logs:{region}:{account}:log-group:*"
    of_account = {"StringEquals": {"aws:SourceAccount": account}}
    of_log_groups = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}}
    return [
        _statement("TopicsToQueues", "sns.amazonaws.com", _DATA_KEYS, of_account),
        _statement("AlarmsToTopics", "cloudwatch.amazonaws.com", _DATA_KEYS, of_account),
        _statement(
            "LogGroups",
            f"logs.{region}.{url_suffix}",
            ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            of_log_groups,
        ),
    ]


def _statement(sid: str, service: str, actions: list[str], condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": actions,
        "Resource": "*",
        "Condition": condition,
    }
