"""Whose buckets may be read: a bucket's name is anybody's once its owner has deleted it, or never made it."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Aws


def owned_by(accounts: Sequence[str]) -> dict[str, Any]:
    """A condition of IAM: the bucket is the deployment's own account's, or that of one of these.

    Args:
        accounts: Other accounts.
    """
    return {"StringEquals": {"aws:ResourceAccount": [Aws.ACCOUNT_ID, *accounts] if accounts else Aws.ACCOUNT_ID}}
