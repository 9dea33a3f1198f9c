"""The operator's own KMS key: who must be let use it, where one is set."""

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms


def use_statements(key: kms.IKey | None, *services: str) -> list[iam.PolicyStatement]:
    """What a role must be granted so that it can read and write what the key encrypts.

    What the key's own policy must say besides stands in ``configuration.key_policy``.

    Args:
        key: The key; None where AWS's own keys encrypt, which ask nothing of a role.
        services: The services that use the key on the role's behalf, as "sqs".
    """
    if key is None:
        return []
    through = [f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}" for service in services]
    return [
        iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": through}},
        )
    ]
