"""Compares what a deployment needs with what an account and a region have."""

from collections.abc import Iterator
from dataclasses import replace

from contract.config import Config, ModelsRuntime
from deploy.account import Account
from deploy.support.findings import Finding, Verdict
from deploy.support.gpu_demand import GpuDemand, gpu_demand
from deploy.support.instances import offered, vcpus
from deploy.support.quotas import (
    BUCKETS,
    ELASTIC_IPS,
    NAT_GATEWAYS,
    ON_DEMAND_VCPUS,
    PUBLISHES,
    SPOT_VCPUS,
    VPCS,
    Quota,
    Quotas,
)
from deploy.support.usage import Usage

_ZONES = 3
_SERVICES = ("apigateway", "cloudformation", "codebuild", "dynamodb", "ecr", "eks", "lambda", "sns", "sqs")
_MESSAGES_A_TASK = 2
"""The task and its notice."""
_NEW_BUCKETS = 2
"""Pictures, and what the CDK uploads."""


class Assessment:
    """Looks; changes nothing.

    Args:
        account: Where it is deployed to.
        config: What is deployed.
        exists: Whether the stack is there already, with its network and buckets.
    """

    def __init__(self, account: Account, config: Config, *, exists: bool) -> None:
        self._account = account
        self._config = config
        self._exists = exists
        self._ec2 = account.client("ec2")
        self._quotas = Quotas(account)
        self._usage = Usage(account, cluster=config.cloudformation_stack)

    def findings(self) -> list[Finding]:
        """All that was found, the region first."""
        types = [name for one in self._config.enabled_runtimes for name in _types(one)]
        there = offered(self._ec2, types)
        return [
            self._services(),
            self._zones(),
            *self._instance_types(there),
            *self._gpu_vcpus(gpu_demand(self._config, vcpus(self._ec2, there))),
            self._publishes(),
            *(() if self._exists else self._network_and_buckets()),
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

    def _zones(self) -> Finding:
        filters = [{"Name": "state", "Values": ["available"]}, {"Name": "zone-type", "Values": ["availability-zone"]}]
        zones = len(self._ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"])
        return Finding(
            what="Availability zones",
            needed=str(_ZONES),
            have=str(zones),
            verdict=Verdict.ENOUGH if zones >= _ZONES else Verdict.BLOCKS,
            advice="" if zones >= _ZONES else "choose another region with -R",
        )

    def _instance_types(self, there: list[str]) -> Iterator[Finding]:
        for runtime in self._config.enabled_runtimes:
            wanted = _types(runtime)
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
            what=f"{quota.title} ({quota.code})",
            needed=f"{needed:g}",
            have="?" if value is None else f"{value - used:g} free of {value:g}",
            verdict=_verdict(known=value is not None, enough=enough, blocks=blocks),
            advice="" if enough and value is not None else self._quotas.page(quota),
        )


def _types(runtime: ModelsRuntime) -> list[str]:
    karpenter = runtime.extra_values.karpenter
    return karpenter.provisioner.instance_type if karpenter.enabled else []


def _verdict(*, known: bool, enough: bool, blocks: bool) -> Verdict:
    if not known:
        return Verdict.UNKNOWN
    if enough:
        return Verdict.ENOUGH
    return Verdict.BLOCKS if blocks else Verdict.SHORT
