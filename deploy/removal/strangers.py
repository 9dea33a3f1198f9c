"""What others have put into a deployment, and what would keep it from being deleted, or go with it."""

import json
from collections.abc import Iterator
from typing import Any

from deploy.account import Account
from deploy.stacks import Stack

_CLOUD9_TAG = "aws:cloud9:environment"
# How EC2 and EKS name interfaces that they make and remove themselves.
_OWN_INTERFACES = ("amazon eks ", "aws-k8s-", "aws lambda vpc eni", "elb ")
_OWN_TAGS = ("node.k8s.amazonaws.com/instance_id", "cluster.k8s.amazonaws.com/name")
_MACHINES = ["pending", "running", "stopping", "stopped"]


class Strangers:
    """Looks for what the stack did not make.

    Args:
        account: Where the stack is.
        stack: The stack; its cluster has the same name.
    """

    def __init__(self, account: Account, stack: Stack) -> None:
        self._iam = account.client("iam")
        self._ec2 = account.client("ec2")
        self._stack = stack
        self._cluster_tag = f"kubernetes.io/cluster/{stack.name}"

    def found(self) -> list[str]:
        """Each one as a sentence that says what to do with it."""
        return [*self._policies(), *self._in_vpcs()]

    def _policies(self) -> Iterator[str]:
        resources = self._stack.resources()
        own = json.dumps(self._stack.template()) + " ".join(resource.physical_id for resource in resources)
        for role in (one.physical_id for one in resources if one.type == "AWS::IAM::Role"):
            for name in self._policies_of(role):
                if name not in own:
                    yield f"Role {role} has the policy {name}, which is not the stack's: detach it."

    def _policies_of(self, role: str) -> Iterator[str]:
        for operation, key, name in (
            ("list_attached_role_policies", "AttachedPolicies", lambda one: one["PolicyName"]),
            ("list_role_policies", "PolicyNames", str),
        ):
            for page in self._iam.get_paginator(operation).paginate(RoleName=role):
                yield from map(name, page[key])

    def _in_vpcs(self) -> Iterator[str]:
        for vpc in (resource.physical_id for resource in self._stack.resources("AWS::EC2::VPC")):
            instances = {one["InstanceId"]: one for one in self._instances(vpc)}
            for identity, instance in instances.items():
                if self._cluster_tag not in _tags(instance, "Tags"):
                    kind = "Cloud9 environment" if _CLOUD9_TAG in _tags(instance, "Tags") else "Instance"
                    yield f"{kind} {identity} is in VPC {vpc}: terminate or move it."
            for interface in self._interfaces(vpc):
                if not _is_own(interface) and interface.get("Attachment", {}).get("InstanceId") not in instances:
                    what = f"{interface['NetworkInterfaceId']} ({interface.get('Description') or 'no description'})"
                    yield f"Network interface {what} is in VPC {vpc}: delete it."

    def _instances(self, vpc: str) -> Iterator[dict[str, Any]]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "instance-state-name", "Values": _MACHINES}]
        for page in self._ec2.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]

    def _interfaces(self, vpc: str) -> Iterator[dict[str, Any]]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}]
        for page in self._ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters):
            yield from page["NetworkInterfaces"]


def _is_own(interface: dict[str, Any]) -> bool:
    """Whether AWS made it for something that the stack has."""
    made_by_aws = interface.get("RequesterManaged", False) or interface.get("InterfaceType") not in {None, "interface"}
    described = interface.get("Description", "").lower().startswith(_OWN_INTERFACES)
    return made_by_aws or described or bool(_tags(interface, "TagSet") & {*_OWN_TAGS})


def _tags(of: dict[str, Any], key: str) -> set[str]:
    return {tag["Key"] for tag in of.get(key, [])}
