"""Instances that Karpenter has launched for a cluster."""

from typing import Any

_LIVING = ["pending", "running", "shutting-down", "stopping", "stopped"]


def karpenter_nodes(ec2: Any, cluster: str) -> list[str]:
    """Ids of a cluster's instances that are not gone yet; CloudFormation knows nothing of them."""
    filters = [
        {"Name": "tag-key", "Values": ["karpenter.sh/nodepool"]},
        {"Name": f"tag:kubernetes.io/cluster/{cluster}", "Values": ["owned"]},
        {"Name": "instance-state-name", "Values": _LIVING},
    ]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    return [
        one["InstanceId"] for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]
    ]
