"""Which availability zones a deployment's network stands in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from configuration.platform import REFUSED_ZONE_IDS, ZONES
from deploy.aws import Account
from deploy.stacks import Stack
from deploy.support.findings import Finding, Sufficiency
from deploy.support.instances import offered_by_zone

_PUBLIC_SUBNET = re.compile(r"PublicSubnet(\d)Subnet[0-9A-F]+$")
"""The CDK's logical ids of the first subnet in each zone, which number the zones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A zone: us-east-1a is another place in each account, its id use1-az1 the same place in every one."""

    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"

    @property
    def is_refused(self) -> bool:
        """Whether EKS runs no control plane there."""
        return self.id in REFUSED_ZONE_IDS


def zones_of_region(ec2: Any) -> list[Zone]:
    """The zones that the account may use, by their names."""
    filters = [{"Name": "state", "Values": ["available"]}, {"Name": "zone-type", "Values": ["availability-zone"]}]
    found = ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"]
    zones = (Zone(name=one["ZoneName"], id=one["ZoneId"]) for one in found)
    return sorted(zones, key=lambda zone: zone.name)


def zones_for(account: Account, stack: Stack, types: Sequence[str]) -> list[str]:
    """Names of the zones that a deployment takes where config.yaml leaves them open; three, if EKS supports so many.

    The zones of a stack that has subnets stay, for subnets cannot move. Else those are preferred that offer more of
    the GPU instance types.
    """
    ec2 = account.client("ec2")
    if zones := _zones_of_stack(ec2, stack):
        return zones
    there = offered_by_zone(ec2, types)
    usable = (zone.name for zone in zones_of_region(ec2) if not zone.is_refused)
    return sorted(sorted(usable, key=lambda name: -len(there.get(name, ())))[:ZONES])


def _zones_of_stack(ec2: Any, stack: Stack) -> list[str]:
    if stack.status is None:
        return []
    subnets = {
        match[1]: one.physical_id
        for one in stack.resources("AWS::EC2::Subnet")
        if one.physical_id and (match := _PUBLIC_SUBNET.search(one.logical_id))
    }
    if len(subnets) < ZONES:
        return []
    described = ec2.describe_subnets(SubnetIds=[*subnets.values()])["Subnets"]
    names = {one["SubnetId"]: str(one["AvailabilityZone"]) for one in described}
    return [names[subnets[number]] for number in sorted(subnets)]


def zone_finding(ec2: Any, wanted: Sequence[str], types: Sequence[str]) -> Finding:
    """Whether the network can stand in the wanted zones, by ID or name, and which of them lack the GPU instances."""
    region = zones_of_region(ec2)
    known = {key: zone for zone in region for key in (zone.name, zone.id)}
    taken = [known[one] for one in wanted if one in known and not known[one].is_refused]
    problems = [_problem(one, known) for one in wanted if known.get(one) not in taken]
    if len(taken) + len(problems) < ZONES:
        problems.append(f"EKS supports {len(taken)} of this region's zones: choose another region with -R")
    there = offered_by_zone(ec2, types)
    bare = [str(zone) for zone in taken if types and not there.get(zone.name)]
    left_out = [str(zone) for zone in region if zone.is_refused and not {zone.name, zone.id} & {*wanted}]
    remarks = [f"no GPU instance of config.yaml in {', '.join(bare)}"] if bare else []
    if left_out:
        remarks.append(f"not {', '.join(left_out)}, where EKS runs no control plane")
    return Finding(
        what="Availability zones",
        needed=str(ZONES),
        have=", ".join(zone.name for zone in taken) or "0",
        verdict=Sufficiency.BLOCKS if problems else Sufficiency.ENOUGH,
        advice="; ".join([*problems, *remarks]),
    )


def _problem(wanted: str, known: Mapping[str, Zone]) -> str:
    zone = known.get(wanted)
    if zone is None:
        return f"vpc.availabilityZones: this account has no zone {wanted} in the region"
    return f"vpc.availabilityZones: EKS runs no control plane in {zone}: name another one"
