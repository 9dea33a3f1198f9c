"""Logical ids that no release changes: CloudFormation would replace a resource whose id has changed."""

from aws_cdk import CfnElement
from constructs import IConstruct


def fix_logical_id(construct: IConstruct, logical_id: str) -> None:
    """Give a construct's resource an id that does not depend on where it stands.

    Args:
        construct: One that stands for a single resource.
        logical_id: Letters and digits; unique in the stack.

    Raises:
        TypeError: The construct has no resource of its own.
    """
    resource = construct.node.default_child
    if not isinstance(resource, CfnElement):
        raise TypeError(f"{construct.node.path} has no resource of its own")
    resource.override_logical_id(logical_id)
