"""Acknowledgements of cdk-nag's findings."""

from collections.abc import Iterable

from aws_cdk import Acknowledgment, Aws, Validations
from aws_cdk import aws_iam as iam
from constructs import IConstruct

_PSEUDO_PARAMETERS = {
    Aws.PARTITION: "<AWS::Partition>",
    Aws.REGION: "<AWS::Region>",
    Aws.ACCOUNT_ID: "<AWS::AccountId>",
}


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept what a rule finds in a construct and in everything below it.

    Args:
        construct: Where it is found.
        rule: The finding, as ``AwsSolutions-SQS3``; IAM4 and IAM5 only with what they name, as
            ``AwsSolutions-IAM5[Resource::*]``.
        reason: Why it is right here, in a sentence.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledge_managed_policy(construct: IConstruct, name: str, reason: str) -> None:
    """Accept that roles have one of AWS's own policies.

    Args:
        construct: The role, or what it is in.
        name: The policy's name, with its path.
        reason: Why it is right here.
    """
    acknowledge(construct, f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{name}]", reason)


def acknowledge_wildcards(construct: IConstruct, statements: Iterable[iam.PolicyStatement], reason: str) -> None:
    """Accept that statements grant on a kind of resources and not on named ones.

    Args:
        construct: The role, or what it is in.
        statements: The statements; those that name all their resources are passed over.
        reason: What keeps them narrow.
    """
    wide = {resource for statement in statements for resource in statement.resources if resource.endswith("*")}
    for resource in sorted(wide):
        acknowledge(construct, f"AwsSolutions-IAM5[Resource::{_as_found(resource)}]", reason)


def _as_found(resource: str) -> str:
    for token, name in _PSEUDO_PARAMETERS.items():
        resource = resource.replace(token, name)
    return resource
