"""The service quotas that a deployment meets, and their values in an account."""

from dataclasses import dataclass

from deploy.aws import AWS_ERRORS, Account, items


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
