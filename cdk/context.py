"""What the constructs of a stack have in common: configuration, the operator's key, logs, statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from configuration.config import Config
from configuration.platform import LOG_RETENTION_DAYS

_RETENTION = [name for name in logs.RetentionDays if name is not logs.RetentionDays.INFINITE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Passed to every construct.

    Attributes:
        config: The configuration.
        key: The operator's KMS key; None where keys of AWS's own encrypt.
    """

    config: Config
    key: kms.IKey | None

    @property
    def name(self) -> str:
        """Name of the stack, which is also the cluster's."""
        return self.config.cloudformation_stack

    def log_group(self, scope: Construct, construct_id: str, *, name: str | None = None) -> logs.LogGroup:
        """Make a log group that keeps its records as long as the configuration says, and is deleted with the stack.

        ``name`` is its name in AWS if the writer decides it.
        """
        # Both lists are in order.
        retention = dict(zip(LOG_RETENTION_DAYS, _RETENTION, strict=True))
        return logs.LogGroup(
            scope,
            construct_id,
            log_group_name=name,
            retention=retention[self.config.monitoring.log_retention_days],
            encryption_key=self.key,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def key_statements(self, *services: str, actions: Sequence[str] = ()) -> list[iam.PolicyStatement]:
        """Let a role use the operator's key through services; empty if there is none: AWS's own keys need no statement.

        ``configuration.key_policy`` has the statements that the key's own policy needs.

        ``services`` use the key on the role's behalf, for example "sqs"; by default for reading and writing.
        """
        if self.key is None:
            return []
        through = [f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}" for service in services]
        via = {"kms:ViaService": through if len(through) > 1 else through[0]}
        allowed = actions or ["kms:Decrypt", "kms:GenerateDataKey"]
        return [allow(allowed, [self.key.key_arn], {"StringEquals": via})]


def allow(
    actions: Sequence[str], resources: Sequence[str], conditions: dict[str, Any] | None = None
) -> iam.PolicyStatement:
    """A statement that allows actions on resources, under conditions if there are any."""
    return iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)


def owned_by(accounts: Sequence[str]) -> dict[str, Any]:
    """A condition of IAM: the bucket is the deployment's own account's, or that of one of ``accounts``.

    Without it, anybody could create a bucket whose owner has deleted it, or never created it, and be read from.
    """
    return {"StringEquals": {"aws:ResourceAccount": [Aws.ACCOUNT_ID, *accounts] if accounts else Aws.ACCOUNT_ID}}
