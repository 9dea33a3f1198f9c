"""Resources that others have put into a deployment: they would prevent its removal, go with it, or outlive it."""

import json
from collections.abc import Iterator
from typing import Any

from deploy.aws import Account, items
from deploy.stacks import Stack

# How EC2 and EKS name interfaces that they make and remove themselves.
_OWN_INTERFACES = ("amazon eks ", "aws-k8s-", "aws lambda vpc eni", "elb ")
_OWN_TAGS = {"node.k8s.amazonaws.com/instance_id", "cluster.k8s.amazonaws.com/name"}
_MACHINES = ["pending", "running", "stopping", "stopped"]


def foreign_resources(account: Account, stack: Stack) -> list[str]:
    """Sentences about them, and what to do with each."""
    resources = stack.resources()
    own = json.dumps(stack.template()) + " ".join(one.get("PhysicalResourceId", "") for one in resources)
    found: list[str] = []
    for one in resources:
        if one["ResourceType"] == "AWS::IAM::Role":
            found += _policies(account.client("iam"), one["PhysicalResourceId"], own)
    for one in resources:
        if one["ResourceType"] == "AWS::EC2::VPC":
            found += _in_vpc(account.client("ec2"), one["PhysicalResourceId"], f"kubernetes.io/cluster/{stack.name}")
    return found


def karpenter_nodes(ec2: Any, cluster: str) -> list[str]:
    """Ids of a cluster's instances that are not gone yet; CloudFormation knows nothing of them."""
    filters = {
        "tag-key": ["karpenter.sh/nodepool"],
        f"tag:kubernetes.io/cluster/{cluster}": ["owned"],
        "instance-state-name": [*_MACHINES, "shutting-down"],
    }
    return [one["InstanceId"] for one in _instances(ec2, filters)]


def _policies(iam: Any, role: str, own: str) -> Iterator[str]:
    attached = items(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    inline = items(iam, "list_role_policies", "PolicyNames", RoleName=role)
    for name in (*(one["PolicyName"] for one in attached), *inline):
        if name not in own:
            yield f"Role {role} has the policy {name}, which is not the stack's: detach it."


def _in_vpc(ec2: Any, vpc: str, cluster_tag: str) -> Iterator[str]:
    instances = set()
    for instance in _instances(ec2, {"vpc-id": [vpc], "instance-state-name": _MACHINES}):
        instances.add(instance["InstanceId"])
        tags = _tags(instance.get("Tags", []))
        if cluster_tag not in tags:
            kind = "Cloud9 environment" if "aws:cloud9:environment" in tags else "Instance"
            yield f"{kind} {instance['InstanceId']} is in VPC {vpc}: terminate or move it."
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    for interface in items(ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=filters):
        if not _is_own(interface) and interface.get("Attachment", {}).get("InstanceId") not in instances:
            what = f"{interface['NetworkInterfaceId']} ({interface.get('Description') or 'no description'})"
            yield f"Network interface {what} is in VPC {vpc}: delete it."


def _is_own(interface: dict[str, Any]) -> bool:
    """Whether AWS made it for something that the stack has."""
    made_by_aws = interface.get("RequesterManaged", False) or interface.get("InterfaceType") not in {None, "interface"}
    described = interface.get("Description", "").lower().startswith(_OWN_INTERFACES)
    return made_by_aws or described or bool(_tags(interface.get("TagSet", [])) & _OWN_TAGS)


def _instances(ec2: Any, filters: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    wanted = [{"Name": name, "Values": values} for name, values in filters.items()]
    for reservation in items(ec2, "describe_instances", "Reservations", Filters=wanted):
        yield from reservation["Instances"]


def _tags(tags: list[dict[str, str]]) -> set[str]:
    return {tag["Key"] for tag in tags}
