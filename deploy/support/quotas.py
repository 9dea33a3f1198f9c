"""The service quotas that a deployment meets: their values in an account, and how much of them is used already."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws import AWS_ERRORS, Account, items
from deploy.support.instances import vcpus

_G_AND_VT = ("g", "vt")
_STANDARD = tuple("acdhimrtz")
_NOT_STANDARD = ("dl", "hpc", "inf", "mac", "trn")
"""Families with quotas of their own whose names begin alike (EC2 user guide, "On-Demand Instance quotas")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A quota of Service Quotas.

    Attributes:
        title: What it limits.
        service: Code of the service.
        code: Its code; empty where no page of AWS gives it.
        name: Its name, where it has no code.
    """

    title: str
    service: str
    code: str
    name: str = ""


ON_DEMAND_VCPUS = Quota(title="On-demand G and VT vCPUs", service="ec2", code="L-DB2E81BA")
SPOT_VCPUS = Quota(title="Spot G and VT vCPUs", service="ec2", code="L-3819A6DF")
SYSTEM_VCPUS = Quota(title="On-demand standard vCPUs", service="ec2", code="L-1216C47A")
CONCURRENCY = Quota(title="Lambda functions at a time", service="lambda", code="L-B99A9384")
PUBLISHES = Quota(title="SNS messages a second", service="sns", code="L-F8E2BA85")
VPCS = Quota(title="VPCs", service="vpc", code="L-F678F1CE")
NAT_GATEWAYS = Quota(title="NAT gateways in a zone", service="vpc", code="L-FE5A380F")
ELASTIC_IPS = Quota(title="Elastic IPs", service="ec2", code="L-0263D0A3")
BUILDS = Quota(
    title="CodeBuild Linux/Large builds at a time",
    service="codebuild",
    code="",
    name="Concurrently running builds for Linux/Large environment",
)
BUCKETS = Quota(title="S3 buckets", service="s3", code="L-DC2B2D3D")


def quota_value(account: Account, quota: Quota) -> float | None:
    """What is granted, else the default; None where it cannot be read."""
    client = account.client("service-quotas")
    if not quota.code:
        try:
            named = items(client, "list_service_quotas", "Quotas", ServiceCode=quota.service)
            return next((float(one["Value"]) for one in named if one["QuotaName"] == quota.name), None)
        except AWS_ERRORS:
            return None
    # A quota that was never raised has a default value only.
    for call in (client.get_service_quota, client.get_aws_default_service_quota):
        try:
            return float(call(ServiceCode=quota.service, QuotaCode=quota.code)["Quota"]["Value"])
        except AWS_ERRORS:
            continue
    return None


class Usage:
    """Counts what is there; the nodes of the deployment's own cluster do not count."""

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
