"""The service quotas that a deployment meets, and how they are read."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A quota of Service Quotas.

    Attributes:
        title: What it limits.
        service: Code of the service.
        code: Its code; empty where only its name is known.
        name: Its name, where the code is not known.
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


class Quotas:
    """Reads an account's quotas.

    Args:
        account: Whose.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._quotas = account.client("service-quotas")

    def value(self, quota: Quota) -> float | None:
        """What is granted, else the default; None where it cannot be told."""
        at = {"ServiceCode": quota.service, "QuotaCode": quota.code}
        # A quota that was never raised has a default value only.
        granted = self._ask(self._quotas.get_service_quota, at)
        return granted if granted is not None else self._ask(self._quotas.get_aws_default_service_quota, at)

    def value_by_name(self, quota: Quota) -> float | None:
        """What is granted, of a quota whose code no page of AWS names; None where it cannot be told."""
        try:
            for page in self._quotas.get_paginator("list_service_quotas").paginate(ServiceCode=quota.service):
                for one in page["Quotas"]:
                    if one["QuotaName"] == quota.name:
                        return float(one["Value"])
        except (ClientError, BotoCoreError):
            pass
        return None

    def page(self, quota: Quota) -> str:
        """Where it can be raised."""
        return self._account.partition.quota_page(quota.service, quota.code, self._account.region)

    @staticmethod
    def _ask(call: Any, at: dict[str, str]) -> float | None:
        try:
            return float(call(**at)["Quota"]["Value"])
        except (ClientError, BotoCoreError):
            return None
