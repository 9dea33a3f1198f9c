"""The dashboard: one row for each question that an operator asks."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk.alarms import RUNBOOK
from cdk.context import Context
from cdk.metrics import OUTCOMES, STAGES, AgentMetrics, container_insights, in_flight, oldest_s, waiting
from cdk.task_flow import TaskFlow
from configuration.config import ModelsRuntime
from configuration.prices import ON_DEMAND_USD_PER_HOUR, PRICES_DATE, PRICES_REGION_NAME

_PERIOD = Duration.minutes(1)
_LATENCY_PERIOD = Duration.minutes(5)
_AGENTS_PERIOD = Duration.minutes(5)
"""Long enough that it matters little whether a minute's sample comes a second late."""
_COST_PERIOD = Duration.hours(1)
_FULL, _HALF, _THIRD = 24, 12, 8


class Dashboard(Construct):
    """A dashboard named like the stack."""

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, flow: TaskFlow) -> None:
        super().__init__(scope, construct_id)
        config = context.config
        self._flow = flow
        self._name = context.name
        self._agents = {one.name: AgentMetrics(context.name, one.name) for one in config.models_runtime}
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=context.name, default_interval=Duration.hours(3)
        )
        dashboard.add_widgets(self._header())
        dashboard.add_widgets(*self._tasks())
        dashboard.add_widgets(*self._replicas(config.models_runtime))
        for name, agents in self._agents.items():
            dashboard.add_widgets(*self._jobs(name, agents))
        dashboard.add_widgets(*self._door())
        dashboard.add_widgets(*self._functions())
        dashboard.add_widgets(*self._costs(config.models_runtime))

    def _header(self) -> cloudwatch.TextWidget:
        return cloudwatch.TextWidget(
            markdown=f"# {self._name}\nWhat each alarm means, and what to do: `{RUNBOOK}`. "
            "No line where agents report means that no replica runs.",
            width=_FULL,
            height=2,
        )

    def _tasks(self) -> list[cloudwatch.IWidget]:
        queues = self._flow.messaging.queues.items()
        return [
            _graph(
                "Age of the oldest task, s",
                [oldest_s(its.main, period=_PERIOD, label=name) for name, its in queues],
            ),
            _graph(
                "Tasks that wait, and tasks in work",
                [waiting(its.main, "Maximum", period=_PERIOD, label=f"{name} wait") for name, its in queues]
                + [in_flight(its.main, "Maximum", period=_PERIOD, label=f"{name} in work") for name, its in queues],
            ),
            _graph(
                "Messages returned, and dead",
                [waiting(its.returned, "Maximum", period=_PERIOD, label=f"{name} returned") for name, its in queues]
                + [waiting(its.dead, "Maximum", period=_PERIOD, label=f"{name} dead") for name, its in queues],
            ),
        ]

    def _replicas(self, runtimes: list[ModelsRuntime]) -> list[cloudwatch.IWidget]:
        agents = self._agents.values()
        cluster = {"ClusterName": self._name}
        by_namespace = {one.namespace: {**cluster, "Namespace": one.namespace} for one in runtimes}
        nodes = container_insights("node_gpu_limit", "Sum", period=_PERIOD, label="GPUs of all nodes", **cluster)
        return [
            _graph(
                "Replicas that report, and GPUs; looks at queues that failed",
                [*(one.agents(period=_AGENTS_PERIOD) for one in agents), nodes],
                [
                    self._agents[one.name].scaling_errors(one.namespace, period=_PERIOD, label=f"{one.name} unread")
                    for one in runtimes
                ],
            ),
            _graph(
                "GPU in use by its own account (DCGM), %",
                [
                    container_insights("pod_gpu_utilization", "Average", period=_PERIOD, label=name, **dimensions)
                    for name, dimensions in by_namespace.items()
                ],
            ),
            _graph(
                "Time in which the model server had a job, %",
                [one.gpu_busy_share(period=_AGENTS_PERIOD) for one in agents],
            ),
        ]

    def _jobs(self, name: str, agents: AgentMetrics) -> list[cloudwatch.IWidget]:
        return [
            _graph(
                f"{name}: jobs by outcome, and given back",
                [*(agents.jobs(one, period=_PERIOD) for one in OUTCOMES), agents.retries(period=_PERIOD)],
            ),
            _graph(
                f"{name}: seconds per stage",
                [
                    agents.stage_seconds(stage, statistic, period=_LATENCY_PERIOD)
                    for stage in STAGES
                    for statistic in ("p50", "p95")
                ],
            ),
            _graph(
                f"{name}: errors by kind, and seconds waited",
                [agents.errors(period=_LATENCY_PERIOD)],
                [agents.queue_age(statistic, period=_LATENCY_PERIOD) for statistic in ("p50", "p95")],
            ),
        ]

    def _door(self) -> list[cloudwatch.IWidget]:
        api = self._flow.door.api
        return [
            _graph(
                "Requests",
                [
                    api.metric_count(statistic="Sum", period=_PERIOD, label="all"),
                    api.metric_client_error(statistic="Sum", period=_PERIOD, label="4xx"),
                    api.metric_server_error(statistic="Sum", period=_PERIOD, label="5xx"),
                ],
                width=_HALF,
            ),
            _graph(
                "Answered within, ms",
                [api.metric_latency(statistic=one, period=_PERIOD, label=one) for one in ("p50", "p95", "p99")],
                width=_HALF,
            ),
        ]

    def _functions(self) -> list[cloudwatch.IWidget]:
        keeper, table = self._flow.keeper, self._flow.table
        functions = {"door": self._flow.door.function, "returned": keeper.returned, "reaper": keeper.reaper}
        return [
            _graph(
                "Functions: errors and throttles",
                [one.metric_errors(period=_PERIOD, label=f"{name} errors") for name, one in functions.items()]
                + [one.metric_throttles(period=_PERIOD, label=f"{name} throttled") for name, one in functions.items()],
                width=_HALF,
            ),
            _graph(
                "Jobs table: capacity used",
                [
                    table.metric_consumed_read_capacity_units(statistic="Sum", period=_PERIOD, label="reads"),
                    table.metric_consumed_write_capacity_units(statistic="Sum", period=_PERIOD, label="writes"),
                ],
                width=_HALF,
            ),
        ]

    def _costs(self, runtimes: list[ModelsRuntime]) -> list[cloudwatch.IWidget]:
        prices = {one.name: _dearest(one) for one in runtimes}
        return [
            cloudwatch.TextWidget(markdown=_pricing(prices), width=_THIRD, height=6),
            _graph(
                "USD of GPU time per finished job",
                [
                    self._agents[name].cost_per_job(price, period=_COST_PERIOD)
                    for name, (_, price) in prices.items()
                    if price is not None
                ],
                width=_FULL - _THIRD,
            ),
        ]


def _graph(
    title: str, left: Sequence[cloudwatch.IMetric], right: Sequence[cloudwatch.IMetric] = (), *, width: int = _THIRD
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(left), right=list(right), width=width, height=6)


def _dearest(runtime: ModelsRuntime) -> tuple[str, float | None]:
    """The dearest of a runtime's instance types, so that the estimate is none too low; None where one is not known."""
    types = runtime.extra_values.karpenter.provisioner.instance_type
    unknown = [one for one in types if one not in ON_DEMAND_USD_PER_HOUR]
    if unknown:
        return unknown[0], None
    dearest = max(types, key=ON_DEMAND_USD_PER_HOUR.__getitem__)
    return dearest, ON_DEMAND_USD_PER_HOUR[dearest]


def _pricing(prices: Mapping[str, tuple[str, float | None]]) -> str:
    lines = [
        f"- {name}: {kind}, " + ("price not known" if price is None else f"{price:g} USD/h")
        for name, (kind, price) in prices.items()
    ]
    return (
        "**Cost per job**: the hours of all replicas, times the price, divided by the jobs that succeeded; a job may "
        "have several pictures. The price is that on demand of the dearest type which the runtime may use "
        f"({PRICES_REGION_NAME}, {PRICES_DATE}); Spot costs less. "
        "Time to start and to stop nodes is not in it: `docs/costs.md`.\n\n" + "\n".join(lines)
    )
