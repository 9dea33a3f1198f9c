"""EC2 instance types: which a region and its zones offer, and how large they are."""

from collections.abc import Iterable, Iterator
from typing import Any

from configuration.config import ModelsRuntime
from deploy.aws import items


def offered(ec2: Any, types: Iterable[str]) -> list[str]:
    """Those of some instance types that the region offers, in their order."""
    wanted = list(dict.fromkeys(types))
    found = {name for _, name in _offerings(ec2, "region", wanted)}
    return [name for name in wanted if name in found]


def offered_by_zone(ec2: Any, types: Iterable[str]) -> dict[str, set[str]]:
    """Those of some instance types that each zone offers, by the zone's name."""
    found: dict[str, set[str]] = {}
    for zone, name in _offerings(ec2, "availability-zone", list(dict.fromkeys(types))):
        found.setdefault(zone, set()).add(name)
    return found


def _offerings(ec2: Any, location: str, types: list[str]) -> Iterator[tuple[str, str]]:
    if types:  # an empty filter is refused
        at = {"LocationType": location, "Filters": [{"Name": "instance-type", "Values": types}]}
        for one in items(ec2, "describe_instance_type_offerings", "InstanceTypeOfferings", **at):
            yield one["Location"], one["InstanceType"]


def vcpus(ec2: Any, types: Iterable[str]) -> dict[str, int]:
    """The vCPUs of each instance type; all must be offered."""
    names = list(dict.fromkeys(types))
    described = ec2.describe_instance_types(InstanceTypes=names)["InstanceTypes"] if names else []
    return {one["InstanceType"]: int(one["VCpuInfo"]["DefaultVCpus"]) for one in described}


def node_types(runtimes: Iterable[ModelsRuntime]) -> list[str]:
    """The instance types of some runtimes' nodes; those that bring no nodes of their own have none."""
    nodes = (one.extra_values.karpenter for one in runtimes)
    return [name for one in nodes if one.enabled for name in one.provisioner.instance_type]
