"""The root secret, from which the platform derives all that it signs with."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk.context import Context
from cdk.escape_hatches import fix_logical_id
from cdk.nag import acknowledge

_CHARACTERS = 64


def root_secret(scope: Construct, context: Context) -> secretsmanager.Secret:
    """Make the secret; its logical id is the same in every release, because each signature depends on it.

    It goes with the stack: a new stack has new tenants, to whom an old secret is of no use, and one that stays costs
    money each month. Secrets Manager keeps a deleted one for 30 days without charge.
    """
    secret = secretsmanager.Secret(
        scope,
        "Secret",
        description="Signs webhooks and links to outputs",
        encryption_key=context.key,
        generate_secret_string=secretsmanager.SecretStringGenerator(
            password_length=_CHARACTERS, exclude_punctuation=True
        ),
        removal_policy=RemovalPolicy.DESTROY,
    )
    fix_logical_id(secret, "SigningSecret")
    acknowledge(
        secret,
        "AwsSolutions-SMG4",
        "Receivers of webhooks hold secrets that are derived from it; each tenant rotates its own by the API.",
    )
    return secret
