"""Compares what a deployment needs with what an account and a region have."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from configuration.config import Config
from configuration.volume_filling import REGION_MIB_S, asked_for
from deploy.account import Account
from deploy.support.findings import Finding, Verdict
from deploy.support.gpu_demand import GpuDemand, gpu_demand
from deploy.support.instances import node_types, offered, vcpus
from deploy.support.quotas import (
    BUCKETS,
    BUILDS,
    CONCURRENCY,
    ELASTIC_IPS,
    NAT_GATEWAYS,
    ON_DEMAND_VCPUS,
    PUBLISHES,
    SPOT_VCPUS,
    SYSTEM_VCPUS,
    VPCS,
    Quota,
    Quotas,
)
from deploy.support.remains import log_groups_in_the_way
from deploy.support.usage import Usage
from deploy.support.zones import zone_finding

_SERVICES = ("apigateway", "cloudformation", "codebuild", "dynamodb", "ecr", "eks", "lambda", "sns", "sqs")
_MESSAGES_A_TASK = 2
"""The task and its notice."""
_NEW_BUCKETS = 2
"""Pictures, and what the CDK uploads."""
_SYSTEM_VCPUS, _REPLACED_VCPUS = 4, 2
"""The cluster's own two nodes, and a third while they are replaced; before there are any, the snapshot's instance."""
_REQUEST_SECONDS = 0.1
"""How long the door's function takes for a request."""
_OTHER_FUNCTIONS = 4
"""The keeper's two, and what CloudFormation calls."""


class Assessment:
    """Looks; changes nothing.

    Args:
        account: Where it is deployed to.
        config: What is deployed.
        zones: Names of the availability zones, where the configuration leaves them open.
        builds: How many images are built, at most.
        exists: Whether the stack is there already, with its network and buckets.
    """

    def __init__(self, account: Account, config: Config, *, zones: Sequence[str], builds: int, exists: bool) -> None:
        self._account = account
        self._config = config
        self._zones = zones
        self._builds = builds
        self._exists = exists
        self._ec2 = account.client("ec2")
        self._quotas = Quotas(account)
        self._usage = Usage(account, cluster=config.cloudformation_stack)

    def findings(self) -> list[Finding]:
        """All that was found, the region first."""
        types = node_types(self._config.enabled_runtimes)
        there = offered(self._ec2, types)
        return [
            self._services(),
            zone_finding(self._ec2, self._config.vpc.availability_zones or self._zones, types),
            *self._instance_types(there),
            *self._gpu_vcpus(gpu_demand(self._config, vcpus(self._ec2, there))),
            *self._system_vcpus(),
            *self._filling(),
            *self._image_builds(),
            self._publishes(),
            self._functions(),
            *(() if self._exists else self._network_and_buckets()),
            *(() if self._exists else log_groups_in_the_way(self._account, self._config.cloudformation_stack)),
        ]

    def _services(self) -> Finding:
        missing = [name for name in _SERVICES if not self._account.offers(name)]
        return Finding(
            what="Services",
            needed=str(len(_SERVICES)),
            have=str(len(_SERVICES) - len(missing)),
            verdict=Verdict.UNKNOWN if missing else Verdict.ENOUGH,
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
                    verdict=Verdict.BLOCKS if missing == wanted else Verdict.ENOUGH,
                    advice=f"not offered here: {', '.join(missing)}" if missing else "",
                )

    def _gpu_vcpus(self, demand: GpuDemand) -> Iterator[Finding]:
        used = self._usage.gpu_vcpus()
        kinds = [
            (quota, count)
            for quota, count, wanted in (
                (ON_DEMAND_VCPUS, used.on_demand, demand.on_demand),
                (SPOT_VCPUS, used.spot, demand.spot),
            )
            if wanted
        ]
        values = {quota: self._quotas.value(quota) for quota, _ in kinds}
        free = [value - count for quota, count in kinds if (value := values[quota]) is not None]
        # One of the two is enough to run; with neither, no pod would ever start.
        nothing_runs = len(free) == len(kinds) and max(free, default=demand.least) < demand.least
        for quota, count in kinds:
            finding = self._compare(quota, values[quota], needed=demand.most, used=count, blocks=False)
            yield replace(finding, verdict=Verdict.BLOCKS) if nothing_runs else finding

    def _system_vcpus(self) -> Iterator[Finding]:
        value, used = self._quotas.value(SYSTEM_VCPUS), self._usage.standard_vcpus()
        finding = self._compare(SYSTEM_VCPUS, value, needed=_SYSTEM_VCPUS + _REPLACED_VCPUS, used=used, blocks=False)
        nothing_runs = value is not None and value - used < _SYSTEM_VCPUS
        yield replace(finding, verdict=Verdict.BLOCKS) if nothing_runs else finding

    def _filling(self) -> Iterator[Finding]:
        if asked := asked_for(self._config.fillings.values()):
            enough = asked <= REGION_MIB_S
            yield Finding(
                what="EBS volume initialization, MiB/s",
                needed=str(asked),
                have=f"{REGION_MIB_S} in the region",
                verdict=Verdict.ENOUGH if enough else Verdict.SHORT,
                advice="" if enough else "leave out volumeInitializationRate, or lower it or maxReplicaCount",
            )

    def _image_builds(self) -> Iterator[Finding]:
        if self._builds:
            value = self._quotas.value_by_name(BUILDS)
            finding = self._compare(BUILDS, value, needed=self._builds, used=0, blocks=False)
            yield replace(finding, verdict=Verdict.BLOCKS) if value is not None and value < 1 else finding

    def _functions(self) -> Finding:
        needed = ceil(self._config.apigw.throttle.rate_limit * _REQUEST_SECONDS) + _OTHER_FUNCTIONS
        return self._compare(CONCURRENCY, self._quotas.value(CONCURRENCY), needed=needed, used=0, blocks=False)

    def _publishes(self) -> Finding:
        needed = self._config.apigw.throttle.rate_limit * _MESSAGES_A_TASK
        return self._compare(PUBLISHES, self._quotas.value(PUBLISHES), needed=needed, used=0, blocks=False)

    def _network_and_buckets(self) -> Iterator[Finding]:
        for quota, needed, used in (
            (VPCS, 1, self._usage.vpcs()),
            (NAT_GATEWAYS, 1, self._usage.nat_gateways()),
            (ELASTIC_IPS, self._config.vpc.nat_gateways, self._usage.elastic_ips()),
            (BUCKETS, _NEW_BUCKETS, self._usage.buckets()),
        ):
            yield self._compare(quota, self._quotas.value(quota), needed=needed, used=used, blocks=True)

    def _compare(self, quota: Quota, value: float | None, *, needed: float, used: float, blocks: bool) -> Finding:
        enough = value is None or value - used >= needed
        return Finding(
            what=f"{quota.title} ({quota.code})" if quota.code else quota.title,
            needed=f"{needed:g}",
            have="?" if value is None else f"{value - used:g} free of {value:g}",
            verdict=_verdict(known=value is not None, enough=enough, blocks=blocks),
            advice="" if enough and value is not None else self._quotas.page(quota),
        )


def _verdict(*, known: bool, enough: bool, blocks: bool) -> Verdict:
    if not known:
        return Verdict.UNKNOWN
    if enough:
        return Verdict.ENOUGH
    return Verdict.BLOCKS if blocks else Verdict.SHORT
