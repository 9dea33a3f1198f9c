"""What a region offers: instance types, how large they are, and availability zones for a deployment's network."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from configuration.config import ModelsRuntime
from configuration.platform import REFUSED_ZONE_IDS, ZONES
from deploy.aws import Account, items
from deploy.stacks import Stack

_PUBLIC_SUBNET = re.compile(r"PublicSubnet(\d)Subnet[0-9A-F]+$")
"""The CDK's logical ids of the first subnet in each zone, which number the zones."""


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
    nodes = (one.extra_values.karpenter for one in runtimes if not one.is_managed)
    return [name for one in nodes if one.enabled for name in one.provisioner.instance_type]


def zones_of_region(ec2: Any) -> dict[str, str]:
    """Ids of the zones that the account may use, by name.

    us-east-1a is another place in each account; its id, such as use1-az1, is the same place in every one.
    """
    filters = [{"Name": "state", "Values": ["available"]}, {"Name": "zone-type", "Values": ["availability-zone"]}]
    found = ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"]
    return dict(sorted((one["ZoneName"], one["ZoneId"]) for one in found))


def zones_for(account: Account, stack: Stack, types: Sequence[str]) -> list[str]:
    """Names of the zones that a deployment takes where config.yaml leaves them open; three, if EKS supports so many.

    The zones of a stack that has subnets stay, for subnets cannot move. Else those are preferred that offer more of
    the GPU instance types.
    """
    ec2 = account.client("ec2")
    if zones := _zones_of_stack(ec2, stack):
        return zones
    there = offered_by_zone(ec2, types)
    usable = [name for name, id_ in zones_of_region(ec2).items() if id_ not in REFUSED_ZONE_IDS]
    return sorted(sorted(usable, key=lambda name: -len(there.get(name, ())))[:ZONES])


def _zones_of_stack(ec2: Any, stack: Stack) -> list[str]:
    if stack.status is None:
        return []
    subnets = {
        match[1]: one["PhysicalResourceId"]
        for one in stack.resources("AWS::EC2::Subnet")
        if one.get("PhysicalResourceId") and (match := _PUBLIC_SUBNET.search(one["LogicalResourceId"]))
    }
    if len(subnets) < ZONES:
        return []
    described = ec2.describe_subnets(SubnetIds=[*subnets.values()])["Subnets"]
    names = {one["SubnetId"]: str(one["AvailabilityZone"]) for one in described}
    return [names[subnets[number]] for number in sorted(subnets)]


def check_zones(ec2: Any, wanted: Sequence[str], types: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Whether the network can stand in the wanted zones, given by ID or name.

    Returns:
        Names of those in which it can, the problems, and remarks, such as where there are no GPU instances.
    """
    zones = zones_of_region(ec2)
    names = {**{id_: name for name, id_ in zones.items()}, **{name: name for name in zones}}
    shown = {name: f"{name} ({id_})" for name, id_ in zones.items()}
    refused = {name for name, id_ in zones.items() if id_ in REFUSED_ZONE_IDS}
    taken, problems = [], []
    for one in wanted:
        if one not in names:
            problems.append(f"vpc.availabilityZones: this account has no zone {one} in the region")
        elif names[one] in refused:
            where = shown[names[one]]
            problems.append(f"vpc.availabilityZones: EKS runs no control plane in {where}: name another one")
        else:
            taken.append(names[one])
    if len(wanted) < ZONES:
        problems.append(f"EKS supports {len(taken)} of this region's zones: choose another region with -R")
    there = offered_by_zone(ec2, types)
    remarks = []
    if bare := [shown[name] for name in taken if types and not there.get(name)]:
        remarks.append(f"no GPU instance of config.yaml in {', '.join(bare)}")
    if left_out := [shown[name] for name in sorted(refused) if not {name, zones[name]} & {*wanted}]:
        remarks.append(f"not {', '.join(left_out)}, where EKS runs no control plane")
    return taken, problems, remarks
