"""What CDK's constructs have no property for (CDK's guide, "Escape hatches")."""

from typing import cast

from aws_cdk import CfnResource, Stack
from aws_cdk import aws_logs as logs
from constructs import IConstruct


def resource_of(construct: IConstruct) -> CfnResource:
    """The resource that a construct stands for, or is itself."""
    return cast("CfnResource", construct.node.default_child or construct)


def logical_id(construct: IConstruct) -> str:
    """The id of a construct's resource in the template."""
    return Stack.of(construct).get_logical_id(resource_of(construct))


def fix_logical_id(construct: IConstruct, fixed: str) -> None:
    """Give a construct's resource an id that does not depend on where it stands, with letters and digits.

    CloudFormation replaces a resource whose id changes, and its content is lost.
    """
    resource_of(construct).override_logical_id(fixed)


def log_to(function: IConstruct, log_group: logs.ILogGroup) -> None:
    """Let a function that CDK makes write to a log group; the one that Lambda makes by itself never expires."""
    resource_of(function).add_property_override("LoggingConfig.LogGroup", log_group.log_group_name)
