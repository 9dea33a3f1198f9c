"""Acknowledgements of cdk-nag's findings."""

from collections.abc import Iterable

from aws_cdk import Acknowledgment, Aws, Validations
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from cdk.escape_hatches import logical_id

_PSEUDO_PARAMETERS = {
    Aws.PARTITION: "<AWS::Partition>",
    Aws.REGION: "<AWS::Region>",
    Aws.ACCOUNT_ID: "<AWS::AccountId>",
}
_FRAMEWORK_POLICIES = ("service-role/AWSLambdaBasicExecutionRole", "service-role/AWSLambdaVPCAccessExecutionRole")


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept what a rule finds in a construct and in everything below it, and say why.

    IAM4 and IAM5 are given with what they name, for example ``AwsSolutions-IAM5[Resource::*]``.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledge_managed_policy(construct: IConstruct, name: str, reason: str) -> None:
    """Accept that roles in a construct have one of AWS's own policies, given by its name and path."""
    acknowledge(construct, f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{name}]", reason)


def acknowledge_wildcards(construct: IConstruct, statements: Iterable[iam.PolicyStatement], reason: str) -> None:
    """Accept that some of the statements grant on a kind of resources and not on named ones; say what narrows them."""
    for resource in sorted({one for statement in statements for one in statement.resources if "*" in one}):
        found = resource
        for token, name in _PSEUDO_PARAMETERS.items():
            found = found.replace(token, name)
        acknowledge(construct, f"AwsSolutions-IAM5[Resource::{found}]", reason)


def acknowledge_framework(provider: IConstruct, *functions: IConstruct) -> None:
    """Accept what cdk-nag finds in a provider of CDK's, which runs custom resources by calling functions."""
    for policy in _FRAMEWORK_POLICIES:
        acknowledge_managed_policy(provider, policy, "CDK's own functions write logs, and may stand in the VPC.")
    for function in functions:
        finding = f"AwsSolutions-IAM5[Resource::<{logical_id(function)}.Arn>:*]"
        acknowledge(provider, finding, "CDK's framework may call every version of a function.")
