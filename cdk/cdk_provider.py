"""CDK's own functions, which run custom resources: their logs, and what cdk-nag finds in them."""

from typing import cast

from aws_cdk import CfnElement, CfnResource, Stack
from aws_cdk import aws_logs as logs
from constructs import IConstruct

from cdk.nag import acknowledge, acknowledge_managed_policy

_POLICIES = ("service-role/AWSLambdaBasicExecutionRole", "service-role/AWSLambdaVPCAccessExecutionRole")


def acknowledge_framework(provider: IConstruct, *functions: IConstruct) -> None:
    """Accept what cdk-nag finds in a provider's own functions.

    Args:
        provider: The provider.
        functions: Those that it calls, some of its own among them.
    """
    for policy in _POLICIES:
        acknowledge_managed_policy(provider, policy, "CDK's own functions write logs, and may stand in the VPC.")
    for function in functions:
        finding = f"AwsSolutions-IAM5[Resource::<{logical_id(function)}.Arn>:*]"
        acknowledge(provider, finding, "CDK's framework may call every version of a function.")


def log_to(function: IConstruct, log_group: logs.ILogGroup) -> None:
    """Let a function write its log into a group that forgets; the one that Lambda would make is kept for ever.

    Args:
        function: A function that CDK makes and that takes no such setting.
        log_group: The group.
    """
    resource = cast("CfnResource", function.node.default_child or function)
    resource.add_property_override("LoggingConfig.LogGroup", log_group.log_group_name)


def logical_id(construct: IConstruct) -> str:
    """The id of a construct's resource in the template."""
    return Stack.of(construct).get_logical_id(cast("CfnElement", construct.node.default_child))
