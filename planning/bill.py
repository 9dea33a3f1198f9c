"""A month's bill by line: what stands in the account, and what a month's pictures use."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from configuration.config import Config, ModelsRuntime
from configuration.quantities import amount
from configuration.volume_filling import UNCHARGED, open_rate
from planning.fleet import GpuNode, UnknownPriceError, likely_node, usd_per_hour
from planning.node_life import end_s, start_s
from planning.prices import PRICES, SYSTEM_NODE_USD_PER_HOUR
from planning.warm_hours import warm_hours

HOURS = 720
"""In a month of thirty days."""
WRITE_UNITS = 20
"""DynamoDB's write units of a job that succeeds at its first attempt, before its model server reports progress."""
SYSTEM_VOLUMES_GB = 4 + 30
"""Of a system node."""
IMAGES_GB, SNAPSHOT_GB, FILLED_GB = 20, 40, 25
"""Of images in ECR, in a snapshot, and of what a node reads from that."""
CONTROL_PLANE_LOGS_GB = {"api": 1.5, "audit": 7, "authenticator": 0.5, "controllerManager": 0.5, "scheduler": 0.5}
"""A month, of a cluster that few people use: an assumption. Your log groups show the real figures."""
_FLOW_LOGS_GB, _NODE_LOGS_GB = 3, 1.5
"""Likewise: the network's flows, and for each system node what its pods and it itself write."""
_SECONDS, _MINUTES = HOURS * 3600, HOURS * 60
_POLLS = 0.65e6
"""Receives a month of an idle event source of Lambda's: five long polls of 20 s at a time."""
_MOUNT_GETS, _COPY_GETS = 500, 64
"""For a model of 4 GB: of Mountpoint, in parts of 8 MB, and of a pod that copies it, in parts of 64 MiB."""
_SYSTEM_NODE_METRICS, _GPU_NODE_METRICS = 825, 900
"""What Container Insights observes each minute: a system node with about 12 pods; a GPU node."""
_AGENT_METRICS = 20
_MILLION = 1_000_000
_ROUNDING = 1e-9


class Line(NamedTuple):
    """One line of a bill: so many units of a service, and in words how they are counted."""

    service: str
    unit: str
    how: str
    quantity: float
    usd_per_unit: float

    @property
    def usd(self) -> float:
        """What they cost, in whole cents."""
        return round(self.quantity * self.usd_per_unit, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUse:
    """What a runtime's GPU nodes do in a month.

    Attributes:
        node: What they are.
        hours: From their launch to their end, whether they draw or not.
        starts: How many are launched.
        reported_h: Hours of the month in which agents report; None: as many as the nodes have, or all.
    """

    node: GpuNode
    hours: float
    starts: float = 0
    reported_h: float | None = None

    @property
    def reporting_h(self) -> float:
        """Hours of the month in which agents report."""
        return min(self.hours, HOURS) if self.reported_h is None else self.reported_h


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What happens in a month."""

    images: float = 0
    """Pictures, each a job of its own."""
    picture_kib: float = 150
    """Of a picture in the bucket."""
    nodes: Mapping[str, NodeUse] = field(default_factory=dict)
    """By runtime; those of which no node runs are left out."""
    usd_per_hour: float | None = None
    """What a GPU node costs, where that is known better than by ``planning.fleet``."""
    webhooks: float = 0
    """The share of jobs that have a webhook."""

    @property
    def gpu_hours(self) -> float:
        """Hours of all GPU nodes together."""
        return sum(use.hours for use in self.nodes.values())

    @classmethod
    def of_idle(cls, config: Config, usd_per_hour: float | None = None) -> Self:
        """A month without a picture: GPU nodes run only where the configuration keeps some."""
        standing = {
            runtime.name: NodeUse(node=likely_node(runtime), hours=hours)
            for runtime in _with_nodes(config)
            if (hours := _standing_hours(runtime))
        }
        return cls(nodes=standing, usd_per_hour=usd_per_hour)

    @classmethod
    def of_images(
        cls,
        config: Config,
        images: float,
        *,
        seconds_per_image: float = 1.5,
        node_starts: float = 300,
        node: GpuNode | None = None,
        usd_per_hour: float | None = None,
    ) -> Self:
        """A month of so many pictures of the first runtime that has GPU nodes, by rule of thumb.

        A simulation knows better. Nodes that the configuration keeps come on top: at worst they draw nothing.
        """
        idle = cls.of_idle(config, usd_per_hour)
        runtime = next(_with_nodes(config), None)
        if runtime is None:
            return cls(images=images)
        hours = (images * seconds_per_image + node_starts * start_costs_s(config, runtime)) / 3600
        if (standing := idle.nodes.get(runtime.name)) is not None:
            hours += standing.hours
        drawing = NodeUse(node=node or likely_node(runtime), hours=hours, starts=node_starts)
        return replace(idle, images=images, nodes={**idle.nodes, runtime.name: drawing})


def bill(config: Config, usage: Usage) -> list[Line]:
    """List what a deployment costs in a month, in dollars; lines of nothing are left out.

    A runtime of a managed type is counted up to its agent: what its service charges is in ``docs.managed_costs``.

    Raises:
        UnknownPriceError: The tables have no price of an instance type.
    """
    lines = [*_requests(config, usage), *_standing(config), *_watching(config, usage)]
    if config.has_cluster:
        lines = [*_cluster(config, usage), *_gpu_nodes(config, usage), *lines]
    return [line for line in lines if line.quantity]


def start_costs_s(config: Config, runtime: ModelsRuntime) -> float:
    """Seconds for which each start of a GPU node is paid besides its pictures: until its first, and after its last."""
    values = runtime.extra_values
    cooldown_s = values.runtime.scaling.cooldown_period
    return start_s(config, runtime) + cooldown_s + end_s(values.karpenter.provisioner)


def idle(config: Config, usd_per_hour: float | None = None) -> list[Line]:
    """The bill of a month without a picture."""
    return bill(config, Usage.of_idle(config, usd_per_hour))


def beyond(lines: Sequence[Line], less: Sequence[Line]) -> list[Line]:
    """What lines have more than others of the same deployment: what pictures cost beyond an idle month."""
    counted = {line[:3]: line.quantity for line in less}
    found = (line._replace(quantity=line.quantity - counted.get(line[:3], 0)) for line in lines)
    return [line for line in found if line.quantity > _ROUNDING]


def total(lines: Iterable[Line]) -> float:
    """Add up what lines cost."""
    return round(sum(line.usd for line in lines), 2)


def _line(service: str, price: str, how: str, quantity: float) -> Line:
    return Line(service, PRICES[price].unit, how, quantity, PRICES[price].usd)


def _with_nodes(config: Config) -> Iterator[ModelsRuntime]:
    """The runtimes that have GPU nodes of their own, as far as the configuration says what these are."""
    for runtime in config.models_runtime:
        if not runtime.is_managed and runtime.chart_repository is None and runtime.extra_values.karpenter.enabled:
            yield runtime


def _in_use(config: Config, usage: Usage) -> list[tuple[ModelsRuntime, NodeUse]]:
    """The runtimes of which nodes run, and what these do."""
    return [(runtime, usage.nodes[runtime.name]) for runtime in _with_nodes(config) if runtime.name in usage.nodes]


def _standing_hours(runtime: ModelsRuntime) -> float:
    """Hours of GPU nodes that run in a month without a picture."""
    values = runtime.extra_values.runtime
    if not values.scaling.enabled:
        return values.replicas * HOURS
    return values.scaling.min_replica_count * HOURS + warm_hours(values.scaling.warm)


def _queues_of(config: Config, runtime: ModelsRuntime) -> int:
    """Queues that a runtime takes tasks from."""
    return len(runtime.deployed(config.deadlines).priorities)


def _is_scaled(runtime: ModelsRuntime) -> bool:
    """Whether the scaler says how many pods a runtime has."""
    return not runtime.is_managed and runtime.chart_repository is None and runtime.extra_values.runtime.scaling.enabled


def _cluster(config: Config, usage: Usage) -> Iterator[Line]:
    """The cluster, its system nodes, and the network's way out."""
    nodes, gateways = config.cluster.system_nodes, config.vpc.nat_gateways
    usd = SYSTEM_NODE_USD_PER_HOUR.get(nodes.instance_type)
    if usd is None:
        raise UnknownPriceError(f"cluster.systemNodes: the price of {nodes.instance_type} is unknown")
    yield _line("EKS", "eks", "720 h", HOURS)
    yield Line("EC2", f"{nodes.instance_type} on demand, hour", "system nodes * 720 h", nodes.count * HOURS, usd)
    yield _line("EBS", "gp3", "system nodes * (4 + 30 GB)", nodes.count * SYSTEM_VOLUMES_GB)
    yield _line("NAT gateway", "nat", "gateways * 720 h", gateways * HOURS)
    yield _line("Public IPv4", "ipv4", "gateways * 720 h", gateways * HOURS)
    if not gateways:
        yield _line("Public IPv4", "ipv4", "system nodes * 720 h", nodes.count * HOURS)
        yield _line("Public IPv4", "ipv4", "hours of GPU nodes", usage.gpu_hours)
        return
    to_nat = "images * 40 KB (SQS, SNS, logs; S3, ECR's layers and DynamoDB go past it)"
    yield _line("NAT gateway", "nat data", to_nat, _gib(usage.images, 40))
    pulled = "node starts * 20 GB of images from a registry outside AWS"
    starts = sum(use.starts for runtime, use in _in_use(config, usage) if _pulls_from_elsewhere(runtime))
    yield _line("NAT gateway", "nat data", pulled, starts * IMAGES_GB)


def _gpu_nodes(config: Config, usage: Usage) -> Iterator[Line]:
    """GPU nodes, their volumes, and what those are filled with."""
    in_use = _in_use(config, usage)
    hours: defaultdict[GpuNode, float] = defaultdict(float)
    for _, use in in_use:
        hours[use.node] += use.hours
    for node, together in hours.items():
        usd = usage.usd_per_hour or usd_per_hour(node)
        yield Line("EC2", f"{node.instance_type}, {node.purchase}, hour", "hours of GPU nodes", together, usd)
    gets = sum(use.starts * (_COPY_GETS if runtime.copies_models else _MOUNT_GETS) for runtime, use in in_use)
    yield _line("S3", "s3 gets", "node starts * parts of a model of 4 GB", gets / 1000)
    of_volumes = [[one * use.hours / HOURS for one in _volumes(runtime)] for runtime, use in in_use]
    size, iops, throughput = map(sum, zip((0, 0, 0), *of_volumes, strict=True))
    yield _line("EBS", "gp3", "GB of a GPU node's two volumes * its hours / 720", size)
    yield _line("EBS", "gp3 iops", "of a GPU node's volumes * its hours / 720", iops)
    yield _line("EBS", "gp3 throughput", "of a GPU node's volumes * its hours / 720", throughput)
    rate = open_rate(config.fillings.values())
    starts = sum(use.starts for runtime, use in in_use if _is_charged_to_fill(runtime, rate))
    yield _line("EBS", "filled", "node starts * 25 GB of the snapshot", starts * FILLED_GB)
    snapshots = sum(_snapshot_of(runtime) is not None for runtime in _with_nodes(config))
    yield _line("EBS", "snapshot", "40 GB of images for each snapshot", snapshots * SNAPSHOT_GB)


def _snapshot_of(runtime: ModelsRuntime) -> str | None:
    return runtime.extra_values.karpenter.node_template.data_volume.snapshot_id


def _is_charged_to_fill(runtime: ModelsRuntime, open_to_all: int) -> bool:
    """Whether AWS charges for filling a node's volume from its snapshot faster than it would."""
    filling = runtime.filling
    if _snapshot_of(runtime) is None or filling is None:
        return False
    return (open_to_all if filling.rate is None else filling.rate) != UNCHARGED


def _volumes(runtime: ModelsRuntime) -> tuple[float, float, float]:
    """GB of a GPU node's two volumes, and IOPS and MiB/s beyond what gp3 has without a charge."""
    template = runtime.extra_values.karpenter.node_template
    size, iops, throughput = 0.0, 0.0, 0.0
    for volume, default_size, default_iops, default_rate in (
        (template.os_volume, "10Gi", 3000, 125),
        (template.data_volume, "80Gi", 4000, 1000),
    ):
        size += float(amount(volume.volume_size or default_size) or 0) / 1024**3
        if volume.volume_type == "gp3":  # the others are charged as if they were as slow as gp3 can be
            iops += (volume.iops or default_iops) - 3000
            throughput += (volume.throughput or default_rate) - 125
    return size, iops, throughput


def _pulls_from_elsewhere(runtime: ModelsRuntime) -> bool:
    repository = runtime.extra_values.runtime.inference_api.image.repository
    return repository is not None and ".dkr.ecr." not in repository


def _requests(config: Config, usage: Usage) -> Iterator[Line]:
    """What each picture's way costs, from the API to the bucket and the notice."""
    images, m = usage.images, usage.images / _MILLION
    yield _line("API Gateway", "gateway", "images", m)
    yield _line("Lambda", "lambda", "API: images * 0.1 s * 1 GB", images * 0.1)
    yield _line("Lambda", "lambda requests", "images * 2 (authorizer, API)", 2 * m)
    yield _line("SNS", "sns", "images * 2 (task, notice)", 2 * m)
    yield _line("SNS", "sns data", "images * 8 KB of notices", _gib(images, 8))
    yield _line("SQS", "sqs", "images * 2 (receive, delete)", 2 * m)
    yield _line(
        "DynamoDB", "writes", f"images * {WRITE_UNITS} (6 items, and entries in three indexes)", WRITE_UNITS * m
    )
    kept = "images * 2.5 KB, kept 90 days"
    yield _line("DynamoDB", "table", kept, 3 * _gib(images, 2.5))
    yield _line("DynamoDB", "backups", kept, 3 * _gib(images, 2.5))
    yield _line("S3", "s3 puts", "images * 2 (picture, manifest)", 2 * images / 1000)
    size, stored = f"images * {usage.picture_kib:,.0f} KB", _gib(images, usage.picture_kib)
    yield _line("S3", "s3", f"{size}, kept a month", stored)
    yield _line("Data out", "data out", f"{size}, each loaded once from outside AWS", stored)
    told = usage.webhooks * m
    yield _line("SQS", "sqs", "webhooks * 2 (send, receive and delete)", 2 * told)
    yield _line("Lambda", "lambda requests", "webhooks", told)
    yield _line("Lambda", "lambda", "webhooks * 0.3 s * 0.5 GB", told * _MILLION * 0.15)
    yield _line("DynamoDB", "writes", "webhooks * 2", 2 * told)
    if config.apigw.waf:
        yield _line("WAF", "waf requests", "images", m)
    agents = usage.gpu_hours
    yield _line("SQS", "sqs", "agents' long polls, 3 a minute", agents * 180 / _MILLION)
    asked = sum(
        3 * 240 * use.reporting_h * _queues_of(config, one) for one, use in _in_use(config, usage) if _is_scaled(one)
    )
    yield _line("SQS", "sqs", "the autoscaler's questions while there are pods: queues * 3 each 15 s", asked / _MILLION)
    yield _line("DynamoDB", "writes", "agents' state, 2 a minute", agents * 120 / _MILLION)


def _standing(config: Config) -> Iterator[Line]:
    """What asks, and what is kept, whether there are pictures or not."""
    queues = sum(_queues_of(config, runtime) for runtime in config.models_runtime)
    runtimes = len(config.models_runtime)
    polled = runtimes + (1 if config.webhooks.enabled else 0)
    yield _line(
        "SQS", "sqs", "keeper and courier: 650,000 receives for each of their queues", polled * _POLLS / _MILLION
    )
    if config.has_cluster:
        keda, scaler, asked = 0.0, 0.0, 0
        for runtime in config.models_runtime:
            scaling, read = runtime.extra_values.runtime.scaling, _queues_of(config, runtime)
            if scaling.enabled:
                keda += read * 2 * _SECONDS / scaling.polling_interval
            if _is_scaled(runtime):
                scaler += read * _SECONDS / scaling.polling_interval
                asked += 1
        yield _line("SQS", "sqs", "KEDA: queues * 2 at each pollingInterval", keda / _MILLION)
        yield _line("SQS", "sqs", "scaler: queues * one at each pollingInterval", scaler / _MILLION)
        yield _line("SQS", "sqs", "Karpenter: 3 a minute", 3 * _MINUTES / _MILLION)
        yield _line("DynamoDB", "reads", "scaler: runtimes * one each 15 s", asked * _SECONDS / 15 / _MILLION)
        yield _line("ECR", "ecr", "20 GB of images", IMAGES_GB)
    else:
        yield _line("SQS", "sqs", "agents: 650,000 receives for each queue", queues * _POLLS / _MILLION)
    yield _line("Lambda", "lambda requests", "reaper, once a minute", _MINUTES / _MILLION)
    yield _line("Lambda", "lambda", "reaper: 0.1 s * 0.5 GB a minute", _MINUTES * 0.05)
    yield _line("DynamoDB", "reads", "reaper, 1 a minute", _MINUTES / _MILLION)
    yield _line("Secrets Manager", "secret", "1, which signs links", 1)
    if config.monitoring.alarm_emails and config.kms_key_arn is None:
        yield _line("KMS", "key", "1, for alarms by e-mail", 1)
    if config.apigw.waf:
        yield _line("WAF", "waf", "1", 1)
        yield _line("WAF", "waf rule", "2", 2)


def _watching(config: Config, usage: Usage) -> Iterator[Line]:
    """Metrics, alarms, logs and traces."""
    monitoring, images, runtimes = config.monitoring, usage.images, len(config.models_runtime)
    yield _line("CloudWatch", "dashboard", "1", 1)
    watched = "3 for each queue, 6 for each runtime (7 in Lambda), 8, and 2 for webhooks"
    queues = sum(_queues_of(config, runtime) for runtime in config.models_runtime)
    metrics = 3 * queues + (6 if config.has_cluster else 7) * runtimes + 8
    yield _line("CloudWatch", "alarm", watched, metrics + (2 if config.webhooks.enabled else 0))
    agents = "20 of each runtime (14, and about 6 kinds of errors) * hours in which its agents report / 720"
    reported_h = sum(use.reporting_h for use in usage.nodes.values())
    yield _line("CloudWatch", "metric", agents, _AGENT_METRICS * reported_h / HOURS)
    gb = {"API, functions and agents: images * 8 KB": _gib(images, 8), "reaper: 1 KB a minute": _gib(_MINUTES, 1)}
    if config.has_cluster:
        if monitoring.container_insights != "off":
            observed = "Container Insights: 60 an hour * (system nodes * 720 h * 825 metrics + GPU hours * 900)"
            of_system = config.cluster.system_nodes.count * HOURS * _SYSTEM_NODE_METRICS
            each_hour = of_system + usage.gpu_hours * _GPU_NODE_METRICS
            yield _line("CloudWatch", "observations", observed, 60 * each_hour / _MILLION)
        of_nodes = config.cluster.system_nodes.count * _NODE_LOGS_GB
        gb["pods and system nodes: 1.5 GB for each node"] = of_nodes
        gb[f"control plane: {', '.join(config.cluster.log_types)}"] = sum(
            CONTROL_PLANE_LOGS_GB[one] for one in config.cluster.log_types
        )
        gb["network's flows"] = _FLOW_LOGS_GB if monitoring.flow_logs else 0
    for whose, written in gb.items():
        yield _line("CloudWatch", "logs", whose, written)
    kept = f"all logs, kept {monitoring.log_retention_days} days"
    yield _line("CloudWatch", "kept logs", kept, sum(gb.values()) * monitoring.log_retention_days / 30)
    percent = 100 if monitoring.traced_percent is None else monitoring.traced_percent
    share = "images, at most" if monitoring.traced_percent is None else f"images * {percent} %"
    yield _line("X-Ray", "traces", share, images * percent / 100 / _MILLION)
    yield _line("X-Ray", "traces", "reaper, once a minute", _MINUTES / _MILLION)


def _gib(count: float, kib_each: float) -> float:
    """Gibibytes of so many things of so many kibibytes."""
    return count * kib_each / 1024**2
