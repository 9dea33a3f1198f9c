"""Compares what a deployment needs with what an account and a region have. It changes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, inf

from configuration.config import Config, ModelsRuntime
from configuration.images import has_arm_nodes
from configuration.volume_filling import REGION_MIB_S, asked_for
from deploy.aws import Account, items, log_groups
from deploy.console import aligned
from deploy.services import icons
from deploy.services.table import managed
from deploy.support import quotas
from deploy.support.finding import Finding, Sufficiency
from deploy.support.quotas import Quota, quota_value, used_nat_gateways, used_vcpus
from deploy.support.region import check_zones, node_types, offered, vcpus

_SERVICES = ("apigateway", "cloudformation", "dynamodb", "lambda", "sns", "sqs")
_CLUSTER_SERVICES = ("codebuild", "ecr", "eks")
_MESSAGES_PER_TASK = 2
"""The task and its notice."""
_NEW_BUCKETS = 2
"""Pictures, and what the CDK uploads."""
_REQUEST_S = 0.1
"""How long the door's function takes for a request."""
_OTHER_FUNCTIONS = 4
"""The keeper's two, and what CloudFormation calls."""
_SURGE = 0.25
"""The chart's maxSurge: what a roll-out needs besides, rounded up as Kubernetes does."""


def table_of(findings: Iterable[Finding]) -> str:
    """Findings as an aligned table."""
    headings = ("What", "Needed", "Have", "Verdict", "Where to raise, or why it matters")
    return aligned(headings, [(row.what, row.needed, row.have, row.verdict.value, row.advice) for row in findings])


def assess(account: Account, config: Config, *, zones: Sequence[str], builds: int, exists: bool) -> list[Finding]:
    """Compare what a deployment needs with what is there, the region first.

    ``zones`` are taken where the configuration names none; ``builds`` images are built at most. A stack that exists
    has its network and buckets.
    """
    requests_per_s = config.apigw.throttle.rate_limit
    functions = ceil(requests_per_s * _REQUEST_S) + _OTHER_FUNCTIONS + _agents(config)
    return [
        _services(account, config),
        *(_cluster(account, config, zones) if config.has_cluster else []),
        *(service.look(account, runtime.name, runtime.model) for service, runtime in managed(config.enabled_runtimes)),
        *icons.look(account, config.icons),
        *(_compare(account, quota, needed=count, least=1) for quota, count in _builds(config, builds) if count > 0),
        _compare(account, quotas.PUBLISHES, needed=requests_per_s * _MESSAGES_PER_TASK),
        _compare(account, quotas.CONCURRENCY, needed=functions),
        *([] if exists else _network_and_buckets(account, config)),
        *([] if exists or not config.has_cluster else _log_groups_in_the_way(account, config.cloudformation_stack)),
    ]


def _services(account: Account, config: Config) -> Finding:
    wanted = (*_SERVICES, *(_CLUSTER_SERVICES if config.has_cluster else ()))
    missing = [name for name in wanted if not account.offers(name)]
    verdict = Sufficiency.UNKNOWN if missing else Sufficiency.ENOUGH
    advice = f"boto3 does not know {', '.join(missing)} there" if missing else ""
    return Finding("Services", str(len(wanted)), str(len(wanted) - len(missing)), verdict, advice)


def _builds(config: Config, builds: int) -> Iterator[tuple[Quota, int]]:
    """How many of some builds run on which machines: one of them may be for Graviton."""
    on_arm = int(builds > 0 and config.has_cluster and has_arm_nodes(config))
    yield quotas.BUILDS, builds - on_arm
    yield quotas.ARM_BUILDS, on_arm


def _agents(config: Config) -> int:
    """Functions that run tasks at the same time, where agents are functions."""
    return 0 if config.has_cluster else sum(one.managed.concurrency for one in config.models_runtime)


def _cluster(account: Account, config: Config, zones: Sequence[str]) -> Iterator[Finding]:
    yield _zones(account, config, zones)
    yield from _instance_types(account, config)
    yield from _vcpus(account, config)
    yield from _filling(config)


def _zones(account: Account, config: Config, zones: Sequence[str]) -> Finding:
    wanted, types = config.vpc.availability_zones or zones, node_types(config.enabled_runtimes)
    taken, problems, remarks = check_zones(account.client("ec2"), wanted, types)
    verdict = Sufficiency.BLOCKS if problems else Sufficiency.ENOUGH
    return Finding("Availability zones", "3", ", ".join(taken) or "0", verdict, "; ".join([*problems, *remarks]))


def _instance_types(account: Account, config: Config) -> Iterator[Finding]:
    system = config.cluster.system_nodes.instance_type
    there = offered(account.client("ec2"), [system, *node_types(config.enabled_runtimes)])
    if system not in there:
        advice = f"not offered here: {system}; choose another cluster.systemNodes.instanceType"
        yield Finding("Instance type of the system nodes", "1", "0", Sufficiency.BLOCKS, advice)
    for runtime in config.enabled_runtimes:
        if wanted := node_types([runtime]):
            missing = [name for name in wanted if name not in there]
            verdict = Sufficiency.BLOCKS if missing == wanted else Sufficiency.ENOUGH
            advice = f"not offered here: {', '.join(missing)}" if missing else ""
            have = str(len(wanted) - len(missing))
            yield Finding(f"Instance types of {runtime.name}", "1", have, verdict, advice)


def _vcpus(account: Account, config: Config) -> Iterator[Finding]:
    """The vCPUs of all pods, rolled out, each on the largest of its instance types; and of the cluster's own nodes."""
    ec2 = account.client("ec2")
    system = config.cluster.system_nodes
    sizes = vcpus(ec2, offered(ec2, [system.instance_type, *node_types(config.enabled_runtimes)]))
    used = used_vcpus(ec2, config.cloudformation_stack)
    needed, smallest, allowed = 0, [], set()
    for runtime in config.enabled_runtimes:
        if fitting := [sizes[name] for name in node_types([runtime]) if name in sizes]:
            needed += _pods(runtime) * max(fitting)
            smallest.append(min(fitting))
            capacity = runtime.extra_values.karpenter.provisioner.capacity_type
            allowed |= {quotas.ON_DEMAND_VCPUS} if capacity.on_demand else set()
            allowed |= {quotas.SPOT_VCPUS} if capacity.spot else set()
    gpus = [quota for quota in (quotas.ON_DEMAND_VCPUS, quotas.SPOT_VCPUS) if quota in allowed]
    one_pod = min(smallest, default=0)
    # One of the two is enough to run; with neither, no pod would ever start.
    values = [(quota_value(account, quota), used[quota]) for quota in gpus]
    nothing_runs = all(value is not None and value - count < one_pod for value, count in values)
    for quota in gpus:
        yield _compare(account, quota, needed=needed, used=used[quota], least=one_pod if nothing_runs else -inf)
    if (each := sizes.get(system.instance_type)) is not None:
        # One more while they are replaced; before there are any, the snapshot's instance.
        nodes, quota = system.count * each, quotas.SYSTEM_VCPUS
        yield _compare(account, quota, needed=nodes + each, used=used[quota], least=nodes)


def _pods(runtime: ModelsRuntime) -> int:
    values = runtime.extra_values.runtime
    pods = values.max_pods
    return pods if runtime.chart_repository is not None else pods + ceil(pods * _SURGE) + values.scaling.warm.nodes


def _filling(config: Config) -> Iterator[Finding]:
    if asked := asked_for(config.fillings.values()):
        enough = asked <= REGION_MIB_S
        verdict = Sufficiency.ENOUGH if enough else Sufficiency.SHORT
        advice = "" if enough else "leave out volumeInitializationRate, or lower it or maxReplicaCount"
        have = f"{REGION_MIB_S} in the region"
        yield Finding("EBS volume initialization, MiB/s", str(asked), have, verdict, advice)


def _network_and_buckets(account: Account, config: Config) -> Iterator[Finding]:
    if config.has_cluster:
        ec2 = account.client("ec2")
        for quota, needed, used in (
            (quotas.VPCS, 1, sum(1 for _ in items(ec2, "describe_vpcs", "Vpcs"))),
            (quotas.NAT_GATEWAYS, min(config.vpc.nat_gateways, 1), used_nat_gateways(ec2)),
            (quotas.ELASTIC_IPS, config.vpc.nat_gateways, len(ec2.describe_addresses()["Addresses"])),
        ):
            if needed:
                yield _compare(account, quota, needed=needed, used=used, least=needed)
    buckets = len(account.client("s3").list_buckets()["Buckets"])
    yield _compare(account, quotas.BUCKETS, needed=_NEW_BUCKETS, used=buckets, least=_NEW_BUCKETS)


def _log_groups_in_the_way(account: Account, cluster: str) -> Iterator[Finding]:
    """Those that AWS names after the cluster: EKS may write once more after a removal has deleted its own."""
    for name in log_groups(account, f"/aws/eks/{cluster}/", f"/aws/containerinsights/{cluster}/"):
        command = f"aws logs delete-log-group --log-group-name {name} --region {account.region}"
        advice = f"the stack makes it itself; remove it: {command}"
        yield Finding(f"Log group {name}", "none", "of a removed deployment", Sufficiency.BLOCKS, advice)


def _compare(account: Account, quota: Quota, *, needed: float, used: float = 0, least: float = -inf) -> Finding:
    """A quota's row; with less than ``least`` nothing would run."""
    value = quota_value(account, quota)
    if value is None:
        verdict, have = Sufficiency.UNKNOWN, "?"
    else:
        free = value - used
        have = f"{free:g} free of {value:g}"
        verdict = Sufficiency.BLOCKS if free < least else Sufficiency.SHORT
        verdict = Sufficiency.ENOUGH if free >= needed else verdict
    what = f"{quota.title} ({quota.code})" if quota.code else quota.title
    page = account.partition.quota_page(quota.service, quota.code, account.region)
    return Finding(what, f"{needed:g}", have, verdict, "" if verdict is Sufficiency.ENOUGH else page)
