"""EC2 instance types in a region: which are offered, and how large they are."""

from collections.abc import Iterable
from typing import Any

from configuration.config import ModelsRuntime
from deploy.partitions import Partition


def offered(ec2: Any, types: Iterable[str]) -> list[str]:
    """Those of some instance types that the region offers, in their order."""
    wanted = list(dict.fromkeys(types))
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="region", Filters=[{"Name": "instance-type", "Values": wanted}]
    )
    found = {one["InstanceType"] for page in pages for one in page["InstanceTypeOfferings"]}
    return [name for name in wanted if name in found]


def node_types(runtimes: Iterable[ModelsRuntime]) -> list[str]:
    """The instance types that the nodes of some runtimes may be; those that bring no nodes of their own have none."""
    nodes = (one.extra_values.karpenter for one in runtimes)
    return [name for one in nodes if one.enabled for name in one.provisioner.instance_type]


def usual_in(partition: Partition, types: Iterable[str]) -> list[str]:
    """Those of the families that are usual in a partition."""
    return [name for name in types if name.partition(".")[0] in partition.gpu_families]


def vcpus(ec2: Any, types: Iterable[str]) -> dict[str, int]:
    """The vCPUs of each instance type; all must be offered."""
    names = list(dict.fromkeys(types))
    described = ec2.describe_instance_types(InstanceTypes=names)["InstanceTypes"] if names else []
    return {one["InstanceType"]: int(one["VCpuInfo"]["DefaultVCpus"]) for one in described}
