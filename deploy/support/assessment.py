"""Compares what a deployment needs with what an account and a region have. It changes nothing."""

from collections.abc import Iterator, Sequence
from math import ceil, inf

from configuration.config import Config
from configuration.volume_filling import REGION_MIB_S, asked_for
from deploy.aws import Account, log_groups
from deploy.support import quotas
from deploy.support.findings import Finding, Sufficiency
from deploy.support.instances import gpu_demand, node_types, offered, vcpus
from deploy.support.quotas import Quota, Usage, quota_value
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


class Assessment:
    """The comparison: zones are for a configuration that leaves them open, builds is how many images may be built.

    Where the stack exists already, so do its network and buckets.
    """

    def __init__(self, account: Account, config: Config, *, zones: Sequence[str], builds: int, exists: bool) -> None:
        self._account = account
        self._config = config
        self._zones = zones
        self._builds = builds
        self._exists = exists
        self._ec2 = account.client("ec2")
        self._usage = Usage(account, cluster=config.cloudformation_stack)

    def findings(self) -> list[Finding]:
        """All that was found, the region first."""
        types = node_types(self._config.enabled_runtimes)
        there = offered(self._ec2, types)
        requests_per_s = self._config.apigw.throttle.rate_limit
        functions = ceil(requests_per_s * _REQUEST_S) + _OTHER_FUNCTIONS
        found = [
            self._services(),
            zone_finding(self._ec2, self._config.vpc.availability_zones or self._zones, types),
            *self._instance_types(there),
            *self._vcpus(there),
            *self._filling(),
        ]
        if self._builds:
            found.append(self._compare(quotas.BUILDS, needed=self._builds, least=1))
        found.append(self._compare(quotas.PUBLISHES, needed=requests_per_s * _MESSAGES_PER_TASK))
        found.append(self._compare(quotas.CONCURRENCY, needed=functions))
        if not self._exists:
            found += [*self._network_and_buckets(), *self._log_groups_in_the_way()]
        return found

    def _services(self) -> Finding:
        missing = [name for name in _SERVICES if not self._account.offers(name)]
        return Finding(
            what="Services",
            needed=str(len(_SERVICES)),
            have=str(len(_SERVICES) - len(missing)),
            verdict=Sufficiency.UNKNOWN if missing else Sufficiency.ENOUGH,
            advice=f"boto3 does not know {', '.join(missing)} there" if missing else "",
        )

    def _instance_types(self, there: list[str]) -> Iterator[Finding]:
        for runtime in self._config.enabled_runtimes:
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

    def _vcpus(self, there: list[str]) -> Iterator[Finding]:
        demand, used = gpu_demand(self._config, vcpus(self._ec2, there)), self._usage.vcpus()
        kinds = [
            quota
            for quota, wanted in ((quotas.ON_DEMAND_VCPUS, demand.on_demand), (quotas.SPOT_VCPUS, demand.spot))
            if wanted
        ]
        values = [(quota_value(self._account, quota), used[quota]) for quota in kinds]
        # One of the two is enough to run; with neither, no pod would ever start.
        nothing_runs = all(value is not None and value - count < demand.one_pod for value, count in values)
        for quota in kinds:
            least = demand.one_pod if nothing_runs else -inf
            yield self._compare(quota, needed=demand.full, used=used[quota], least=least)
        needed = _SYSTEM_VCPUS + _REPLACED_VCPUS
        yield self._compare(quotas.SYSTEM_VCPUS, needed=needed, used=used[quotas.SYSTEM_VCPUS], least=_SYSTEM_VCPUS)

    def _filling(self) -> Iterator[Finding]:
        if asked := asked_for(self._config.fillings.values()):
            enough = asked <= REGION_MIB_S
            yield Finding(
                what="EBS volume initialization, MiB/s",
                needed=str(asked),
                have=f"{REGION_MIB_S} in the region",
                verdict=Sufficiency.ENOUGH if enough else Sufficiency.SHORT,
                advice="" if enough else "leave out volumeInitializationRate, or lower it or maxReplicaCount",
            )

    def _network_and_buckets(self) -> Iterator[Finding]:
        for quota, needed, used in (
            (quotas.VPCS, 1, self._usage.vpcs()),
            (quotas.NAT_GATEWAYS, 1, self._usage.nat_gateways()),
            (quotas.ELASTIC_IPS, self._config.vpc.nat_gateways, self._usage.elastic_ips()),
            (quotas.BUCKETS, _NEW_BUCKETS, self._usage.buckets()),
        ):
            yield self._compare(quota, needed=needed, used=used, least=needed)

    def _log_groups_in_the_way(self) -> Iterator[Finding]:
        """Those that AWS names after the cluster: EKS may write once more after a removal has deleted its own."""
        cluster = self._config.cloudformation_stack
        for name in log_groups(self._account, f"/aws/eks/{cluster}/", f"/aws/containerinsights/{cluster}/"):
            command = f"aws logs delete-log-group --log-group-name {name} --region {self._account.region}"
            yield Finding(
                what=f"Log group {name}",
                needed="none",
                have="of a removed deployment",
                verdict=Sufficiency.BLOCKS,
                advice=f"the stack makes it itself; remove it: {command}",
            )

    def _compare(self, quota: Quota, *, needed: float, used: float = 0, least: float = -inf) -> Finding:
        """A quota's row; with less than ``least`` nothing would run."""
        value = quota_value(self._account, quota)
        free = None if value is None else value - used
        if free is None:
            verdict = Sufficiency.UNKNOWN
        elif free >= needed:
            verdict = Sufficiency.ENOUGH
        else:
            verdict = Sufficiency.BLOCKS if free < least else Sufficiency.SHORT
        page = self._account.partition.quota_page(quota.service, quota.code, self._account.region)
        return Finding(
            what=f"{quota.title} ({quota.code})" if quota.code else quota.title,
            needed=f"{needed:g}",
            have="?" if value is None else f"{free:g} free of {value:g}",
            verdict=verdict,
            advice="" if verdict is Sufficiency.ENOUGH else page,
        )
