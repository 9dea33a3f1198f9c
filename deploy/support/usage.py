"""How much of the quotas an account uses already."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.account import Account
from deploy.support.instances import vcpus

_G_AND_VT = ("g", "vt")
"""How the names of the quotas' instance types begin."""


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
        counts = Counter(
            (one["InstanceType"], one.get("InstanceLifecycle") == "spot")
            for one in self._gpu_instances()
            if self._cluster_tag not in {tag["Key"] for tag in one.get("Tags", [])}
        )
        sizes = vcpus(self._ec2, (name for name, _ in counts))
        used: Counter[bool] = Counter()
        for (name, is_spot), count in counts.items():
            used[is_spot] += count * sizes[name]
        return GpuUse(on_demand=used[False], spot=used[True])

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

    def _gpu_instances(self) -> Iterator[dict[str, Any]]:
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        for reservation in self._all("describe_instances", "Reservations", Filters=filters):
            yield from (one for one in reservation["Instances"] if one["InstanceType"].startswith(_G_AND_VT))

    def _all(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        for page in self._ec2.get_paginator(operation).paginate(**arguments):
            yield from page[key]
