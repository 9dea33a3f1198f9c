"""The service quotas that a deployment meets: their values in an account, and how much of them is used already."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws import AWS_ERRORS, Account, items
from deploy.support.region import vcpus

_STANDARD = tuple("acdhimrtz")
_NOT_STANDARD = ("dl", "hpc", "inf", "mac", "trn")
"""Families with quotas of their own whose names begin alike (EC2 user guide, "On-Demand Instance quotas")."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What it limits, its service, and its code there; its name, where no page of AWS gives the code."""

    title: str
    service: str
    code: str = ""
    name: str = ""


ON_DEMAND_VCPUS = Quota("On-demand G and VT vCPUs", "ec2", "L-DB2E81BA")
SPOT_VCPUS = Quota("Spot G and VT vCPUs", "ec2", "L-3819A6DF")
SYSTEM_VCPUS = Quota("On-demand standard vCPUs", "ec2", "L-1216C47A")
CONCURRENCY = Quota("Lambda functions at a time", "lambda", "L-B99A9384")
PUBLISHES = Quota("SNS messages a second", "sns", "L-F8E2BA85")
VPCS = Quota("VPCs", "vpc", "L-F678F1CE")
NAT_GATEWAYS = Quota("NAT gateways in a zone", "vpc", "L-FE5A380F")
ELASTIC_IPS = Quota("Elastic IPs", "ec2", "L-0263D0A3")
BUCKETS = Quota("S3 buckets", "s3", "L-DC2B2D3D")
BUILDS = Quota(
    "CodeBuild Linux/Large builds at a time",
    "codebuild",
    name="Concurrently running builds for Linux/Large environment",
)
ARM_BUILDS = Quota(
    "CodeBuild ARM/Small builds at a time",
    "codebuild",
    name="Concurrently running builds for ARM/Small environment",
)


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


def used_vcpus(ec2: Any, cluster: str) -> Mapping[Quota, int]:
    """The vCPUs of running instances but a cluster's own, by the quota that they count towards."""
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found: Counter[tuple[str, Quota]] = Counter()
    for reservation in items(ec2, "describe_instances", "Reservations", Filters=filters):
        for one in reservation["Instances"]:
            is_own = f"kubernetes.io/cluster/{cluster}" in {tag["Key"] for tag in one.get("Tags", [])}
            if not is_own and (quota := _quota_of(one)) is not None:
                found[one["InstanceType"], quota] += 1
    sizes = vcpus(ec2, (name for name, _ in found))
    used: Counter[Quota] = Counter()
    for (name, quota), count in found.items():
        used[quota] += count * sizes[name]
    return used


def used_nat_gateways(ec2: Any) -> int:
    """Number of NAT gateways in the zone that has most."""
    zones = {one["SubnetId"]: one["AvailabilityZone"] for one in items(ec2, "describe_subnets", "Subnets")}
    filters = [{"Name": "state", "Values": ["pending", "available"]}]
    gateways = items(ec2, "describe_nat_gateways", "NatGateways", Filters=filters)
    return max(Counter(zones.get(one["SubnetId"]) for one in gateways).values(), default=0)


def _quota_of(instance: Mapping[str, Any]) -> Quota | None:
    family, is_spot = instance["InstanceType"].partition(".")[0], instance.get("InstanceLifecycle") == "spot"
    if family.startswith(("g", "vt")):
        return SPOT_VCPUS if is_spot else ON_DEMAND_VCPUS
    is_standard = family.startswith(_STANDARD) and not family.startswith(_NOT_STANDARD)
    return SYSTEM_VCPUS if is_standard and not is_spot else None
