"""How much of the quotas an account uses already."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deploy.account import Account
from deploy.support.instances import vcpus

_G_AND_VT = ("g", "vt")
"""How the names of the quotas' instance types begin."""
_STANDARD = "acdhimrtz"
_NOT_STANDARD = ("dl", "hpc", "inf", "mac", "trn")
"""Families with quotas of their own whose names begin alike (EC2 user guide, "On-Demand Instance quotas")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """vCPUs of running G and VT instances, by how they were bought."""

    on_demand: int
    spot: int


class Usage:
    """Counts what is there.

    Args:
        account: Whose.
        cluster: Name of the deployment's cluster; its own nodes do not count.
    """

    def __init__(self, account: Account, *, cluster: str) -> None:
        self._ec2 = account.client("ec2")
        self._s3 = account.client("s3")
        self._cluster_tag = f"kubernetes.io/cluster/{cluster}"

    def gpu_vcpus(self) -> GpuUse:
        """The vCPUs of the G and VT instances of others."""
        used = self._vcpus(lambda family: family.startswith(_G_AND_VT))
        return GpuUse(on_demand=used[False], spot=used[True])

    def standard_vcpus(self) -> int:
        """The vCPUs of the on-demand instances of others that count as standard ones."""
        return self._vcpus(lambda family: family[0] in _STANDARD and not family.startswith(_NOT_STANDARD))[False]

    def vpcs(self) -> int:
        """Number of VPCs."""
        return sum(1 for _ in self._all("describe_vpcs", "Vpcs"))

    def elastic_ips(self) -> int:
        """Number of Elastic IPs."""
        return len(self._ec2.describe_addresses()["Addresses"])

    def nat_gateways(self) -> int:
        """Number of NAT gateways in the zone that has most."""
        zones = {one["SubnetId"]: one["AvailabilityZone"] for one in self._all("describe_subnets", "Subnets")}
        filters = [{"Name": "state", "Values": ["pending", "available"]}]
        gateways = self._all("describe_nat_gateways", "NatGateways", Filters=filters)
        return max(Counter(zones.get(one["SubnetId"]) for one in gateways).values(), default=0)

    def buckets(self) -> int:
        """Number of buckets."""
        return len(self._s3.list_buckets()["Buckets"])

    def _vcpus(self, counts: Callable[[str], bool]) -> Counter[bool]:
        """The vCPUs of instances of others of some families: those on demand under False, Spot under True."""
        found = Counter(
            (one["InstanceType"], one.get("InstanceLifecycle") == "spot")
            for one in self._others()
            if counts(one["InstanceType"].partition(".")[0])
        )
        sizes = vcpus(self._ec2, (name for name, _ in found))
        used: Counter[bool] = Counter()
        for (name, is_spot), count in found.items():
            used[is_spot] += count * sizes[name]
        return used

    def _others(self) -> Iterator[dict[str, Any]]:
        """The running instances that are not the cluster's own."""
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        for reservation in self._all("describe_instances", "Reservations", Filters=filters):
            for one in reservation["Instances"]:
                if self._cluster_tag not in {tag["Key"] for tag in one.get("Tags", [])}:
                    yield one

    def _all(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        for page in self._ec2.get_paginator(operation).paginate(**arguments):
            yield from page[key]
