"""How much of the quotas an account uses already."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.aws import Account, items
from deploy.support.instances import vcpus
from deploy.support.quotas import ON_DEMAND_VCPUS, SPOT_VCPUS, SYSTEM_VCPUS, Quota

_G_AND_VT = ("g", "vt")
_STANDARD = tuple("acdhimrtz")
_NOT_STANDARD = ("dl", "hpc", "inf", "mac", "trn")
"""Families with quotas of their own whose names begin alike (EC2 user guide, "On-Demand Instance quotas")."""


class Usage:
    """Counts what is there.

    Args:
        account: Whose.
        cluster: Name of the deployment's cluster, whose own nodes do not count.
    """

    def __init__(self, account: Account, *, cluster: str) -> None:
        self._ec2 = account.client("ec2")
        self._s3 = account.client("s3")
        self._cluster_tag = f"kubernetes.io/cluster/{cluster}"

    def vcpus(self) -> Mapping[Quota, int]:
        """The vCPUs of running instances, by the quota that they count towards."""
        found = Counter(
            (one["InstanceType"], quota) for one in self._instances() if (quota := _quota_of(one)) is not None
        )
        sizes = vcpus(self._ec2, (name for name, _ in found))
        used: Counter[Quota] = Counter()
        for (name, quota), count in found.items():
            used[quota] += count * sizes[name]
        return used

    def vpcs(self) -> int:
        """Number of VPCs."""
        return sum(1 for _ in items(self._ec2, "describe_vpcs", "Vpcs"))

    def elastic_ips(self) -> int:
        """Number of Elastic IPs."""
        return len(self._ec2.describe_addresses()["Addresses"])

    def nat_gateways(self) -> int:
        """Number of NAT gateways in the zone that has most."""
        zones = {one["SubnetId"]: one["AvailabilityZone"] for one in items(self._ec2, "describe_subnets", "Subnets")}
        filters = [{"Name": "state", "Values": ["pending", "available"]}]
        gateways = items(self._ec2, "describe_nat_gateways", "NatGateways", Filters=filters)
        return max(Counter(zones.get(one["SubnetId"]) for one in gateways).values(), default=0)

    def buckets(self) -> int:
        """Number of buckets."""
        return len(self._s3.list_buckets()["Buckets"])

    def _instances(self) -> Iterator[dict[str, Any]]:
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        for reservation in items(self._ec2, "describe_instances", "Reservations", Filters=filters):
            for one in reservation["Instances"]:
                if self._cluster_tag not in {tag["Key"] for tag in one.get("Tags", [])}:
                    yield one


def _quota_of(instance: Mapping[str, Any]) -> Quota | None:
    family, is_spot = instance["InstanceType"].partition(".")[0], instance.get("InstanceLifecycle") == "spot"
    if family.startswith(_G_AND_VT):
        return SPOT_VCPUS if is_spot else ON_DEMAND_VCPUS
    is_standard = family.startswith(_STANDARD) and not family.startswith(_NOT_STANDARD)
    return SYSTEM_VCPUS if is_standard and not is_spot else None
