"""Compares what a deployment needs with what an account and a region have. It changes nothing."""

from collections.abc import Iterator, Sequence
from math import ceil, inf

from configuration.config import Config
from configuration.volume_filling import REGION_MIB_S, asked_for
from deploy.aws import Account, items, log_groups
from deploy.support import quotas
from deploy.support.findings import Finding, Sufficiency
from deploy.support.instances import gpu_demand, node_types, offered, vcpus
from deploy.support.quotas import Quota, quota_value, used_nat_gateways, used_vcpus
from deploy.support.zones import zone_finding

_SERVICES = ("apigateway", "cloudformation", "codebuild", "dynamodb", "ecr", "eks", "lambda", "sns", "sqs")
_MESSAGES_PER_TASK = 2
"""The task and its notice."""
_NEW_BUCKETS = 2
"""Pictures, and what the CDK uploads."""
_SYSTEM_VCPUS, _REPLACED_VCPUS = 4, 2
"""The cluster's own two nodes, and a third while they are replaced; before there are any, the snapshot's instance."""
_REQUEST_S = 0.1
"""How long the door's function takes for a request."""
_OTHER_FUNCTIONS = 4
"""The keeper's two, and what CloudFormation calls."""


def assess(account: Account, config: Config, *, zones: Sequence[str], builds: int, exists: bool) -> list[Finding]:
    """Compare what a deployment needs with what is there, the region first.

    Args:
        account: Where it is deployed to.
        config: What is deployed.
        zones: Names of the availability zones, where the configuration leaves them open.
        builds: How many images are built, at most.
        exists: Whether the stack is there already, with its network and buckets.
    """
    types, ec2 = node_types(config.enabled_runtimes), account.client("ec2")
    there = offered(ec2, types)
    requests_per_s = config.apigw.throttle.rate_limit
    functions = ceil(requests_per_s * _REQUEST_S) + _OTHER_FUNCTIONS
    return [
        _services(account),
        zone_finding(ec2, config.vpc.availability_zones or zones, types),
        *_instance_types(config, there),
        *_vcpus(account, config, there),
        *_filling(config),
        *([_compare(account, quotas.BUILDS, needed=builds, least=1)] if builds else []),
        _compare(account, quotas.PUBLISHES, needed=requests_per_s * _MESSAGES_PER_TASK),
        _compare(account, quotas.CONCURRENCY, needed=functions),
        *([] if exists else _network_and_buckets(account, config)),
        *([] if exists else _log_groups_in_the_way(account, config.cloudformation_stack)),
    ]


def _services(account: Account) -> Finding:
    missing = [name for name in _SERVICES if not account.offers(name)]
    return Finding(
        what="Services",
        needed=str(len(_SERVICES)),
        have=str(len(_SERVICES) - len(missing)),
        verdict=Sufficiency.UNKNOWN if missing else Sufficiency.ENOUGH,
        advice=f"boto3 does not know {', '.join(missing)} there" if missing else "",
    )


def _instance_types(config: Config, there: list[str]) -> Iterator[Finding]:
    for runtime in config.enabled_runtimes:
        wanted = node_types([runtime])
        missing = [name for name in wanted if name not in there]
        if wanted:
            yield Finding(
                what=f"Instance types of {runtime.name}",
                needed="1",
                have=str(len(wanted) - len(missing)),
                verdict=Sufficiency.BLOCKS if missing == wanted else Sufficiency.ENOUGH,
                advice=f"not offered here: {', '.join(missing)}" if missing else "",
            )


def _vcpus(account: Account, config: Config, there: list[str]) -> Iterator[Finding]:
    ec2 = account.client("ec2")
    demand, used = gpu_demand(config, vcpus(ec2, there)), used_vcpus(ec2, config.cloudformation_stack)
    kinds = [
        quota
        for quota, wanted in ((quotas.ON_DEMAND_VCPUS, demand.on_demand), (quotas.SPOT_VCPUS, demand.spot))
        if wanted
    ]
    values = [(quota_value(account, quota), used[quota]) for quota in kinds]
    # One of the two is enough to run; with neither, no pod would ever start.
    nothing_runs = all(value is not None and value - count < demand.one_pod for value, count in values)
    for quota in kinds:
        least = demand.one_pod if nothing_runs else -inf
        yield _compare(account, quota, needed=demand.full, used=used[quota], least=least)
    needed = _SYSTEM_VCPUS + _REPLACED_VCPUS
    yield _compare(account, quotas.SYSTEM_VCPUS, needed=needed, used=used[quotas.SYSTEM_VCPUS], least=_SYSTEM_VCPUS)


def _filling(config: Config) -> Iterator[Finding]:
    if asked := asked_for(config.fillings.values()):
        enough = asked <= REGION_MIB_S
        yield Finding(
            what="EBS volume initialization, MiB/s",
            needed=str(asked),
            have=f"{REGION_MIB_S} in the region",
            verdict=Sufficiency.ENOUGH if enough else Sufficiency.SHORT,
            advice="" if enough else "leave out volumeInitializationRate, or lower it or maxReplicaCount",
        )


def _network_and_buckets(account: Account, config: Config) -> Iterator[Finding]:
    ec2 = account.client("ec2")
    for quota, needed, used in (
        (quotas.VPCS, 1, sum(1 for _ in items(ec2, "describe_vpcs", "Vpcs"))),
        (quotas.NAT_GATEWAYS, 1, used_nat_gateways(ec2)),
        (quotas.ELASTIC_IPS, config.vpc.nat_gateways, len(ec2.describe_addresses()["Addresses"])),
        (quotas.BUCKETS, _NEW_BUCKETS, len(account.client("s3").list_buckets()["Buckets"])),
    ):
        yield _compare(account, quota, needed=needed, used=used, least=needed)


def _log_groups_in_the_way(account: Account, cluster: str) -> Iterator[Finding]:
    """Those that AWS names after the cluster: EKS may write once more after a removal has deleted its own."""
    for name in log_groups(account, f"/aws/eks/{cluster}/", f"/aws/containerinsights/{cluster}/"):
        command = f"aws logs delete-log-group --log-group-name {name} --region {account.region}"
        yield Finding(
            what=f"Log group {name}",
            needed="none",
            have="of a removed deployment",
            verdict=Sufficiency.BLOCKS,
            advice=f"the stack makes it itself; remove it: {command}",
        )


def _compare(account: Account, quota: Quota, *, needed: float, used: float = 0, least: float = -inf) -> Finding:
    """A quota's row; with less than ``least`` nothing would run."""
    value = quota_value(account, quota)
    free = None if value is None else value - used
    if free is None:
        verdict = Sufficiency.UNKNOWN
    elif free >= needed:
        verdict = Sufficiency.ENOUGH
    else:
        verdict = Sufficiency.BLOCKS if free < least else Sufficiency.SHORT
    page = account.partition.quota_page(quota.service, quota.code, account.region)
    return Finding(
        what=f"{quota.title} ({quota.code})" if quota.code else quota.title,
        needed=f"{needed:g}",
        have="?" if value is None else f"{free:g} free of {value:g}",
        verdict=verdict,
        advice="" if verdict is Sufficiency.ENOUGH else page,
    )
