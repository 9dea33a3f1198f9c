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
    """Ask: whether nothing of Karpenter's is left; after the deadline, end what is.

    That is instances, and the instance profiles that hold the nodes' role: a role in a profile cannot be deleted. The
    profiles are removed once the instances have ended.
    """
    if event["RequestType"] != "Delete":
        return {"IsComplete": True}
    cluster, role = event["ResourceProperties"]["ClusterName"], event["ResourceProperties"]["NodeRole"]
    ec2, iam = boto3.client("ec2"), boto3.client("iam")
    instances = _instances(ec2, cluster)
    if time.time() >= event["Data"]["Deadline"]:
        if instances:
            print(f"ending {len(instances)} instances of cluster {cluster}: {', '.join(instances)}")
            ec2.terminate_instances(InstanceIds=instances)
        else:
            for profile in _profiles(iam, role):
                print(f"removing instance profile {profile}")
                iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=role)
                iam.delete_instance_profile(InstanceProfileName=profile)
        instances = _instances(ec2, cluster)
    return {"IsComplete": not instances and not _profiles(iam, role)}


def _instances(ec2: Any, cluster: str) -> list[str]:
    """Karpenter's instances of a cluster, whose name they carry as a tag."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": "tag-key", "Values": ["karpenter.sh/nodepool"]},
            {"Name": "tag:eks:eks-cluster-name", "Values": [cluster]},
            {"Name": "instance-state-name", "Values": _NOT_YET_GONE},
        ]
    )
    return [one["InstanceId"] for page in pages for made in page["Reservations"] for one in made["Instances"]]


def _profiles(iam: Any, role: str) -> list[str]:
    pages = iam.get_paginator("list_instance_profiles_for_role").paginate(RoleName=role)
    return [profile["InstanceProfileName"] for page in pages for profile in page["InstanceProfiles"]]
