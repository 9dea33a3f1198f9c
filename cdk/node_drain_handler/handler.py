"""Waits, when a cluster is removed, until Karpenter has ended its nodes, and ends them itself where it does not.

The two handlers of a custom resource (CDK's provider framework): ``on_event`` starts, ``is_complete`` is asked again
and again. Only a removal has something to wait for.
"""

import time
from typing import Any

import boto3

KARPENTER_MAY_TAKE_S = 15 * 60
"""How long Karpenter may take; it lets pods finish first."""

_NOT_YET_GONE = ["pending", "running", "stopping", "stopped", "shutting-down"]


def on_event(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Start: say until when Karpenter may take."""
    return {
        "PhysicalResourceId": event["ResourceProperties"]["ClusterName"],
        "Data": {"Deadline": time.time() + KARPENTER_MAY_TAKE_S},
    }


def is_complete(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Ask: whether nothing of Karpenter's is left."""
    if event["RequestType"] != "Delete":
        return {"IsComplete": True}
    properties = event["ResourceProperties"]
    leftovers = KarpenterLeftovers(
        boto3.client("ec2"), boto3.client("iam"), cluster=properties["ClusterName"], role=properties["NodeRole"]
    )
    if time.time() >= event["Data"]["Deadline"]:
        leftovers.remove()
    return {"IsComplete": not leftovers.exist()}


class KarpenterLeftovers:
    """What Karpenter has made and not yet removed: instances, and the instance profiles that hold the nodes' role.

    A role in a profile cannot be deleted, so profiles matter as much as instances.

    Args:
        ec2: A client.
        iam: A client.
        cluster: The cluster's name, which Karpenter's instances carry as a tag.
        role: Name of the nodes' role.
    """

    def __init__(self, ec2: Any, iam: Any, *, cluster: str, role: str) -> None:
        self._ec2 = ec2
        self._iam = iam
        self._cluster = cluster
        self._role = role

    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._instances() or self._profiles())

    def remove(self) -> None:
        """End the instances; once they have ended, remove the profiles."""
        instances = self._instances()
        if instances:
            print(f"ending {len(instances)} instances of cluster {self._cluster}: {', '.join(instances)}")
            self._ec2.terminate_instances(InstanceIds=instances)
            return
        for profile in self._profiles():
            print(f"removing instance profile {profile}")
            self._iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=self._role)
            self._iam.delete_instance_profile(InstanceProfileName=profile)

    def _instances(self) -> list[str]:
        pages = self._ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": "tag-key", "Values": ["karpenter.sh/nodepool"]},
                {"Name": "tag:eks:eks-cluster-name", "Values": [self._cluster]},
                {"Name": "instance-state-name", "Values": _NOT_YET_GONE},
            ]
        )
        return [
            instance["InstanceId"]
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]

    def _profiles(self) -> list[str]:
        pages = self._iam.get_paginator("list_instance_profiles_for_role").paginate(RoleName=self._role)
        return [profile["InstanceProfileName"] for page in pages for profile in page["InstanceProfiles"]]
