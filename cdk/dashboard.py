"""The dashboard: one row for each question that an operator asks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk import metrics
from cdk.alarms import RUNBOOK
from cdk.context import Context
from cdk.metrics import AgentMetrics, in_flight, oldest_s, waiting
from cdk.task_flow import TaskFlow
from configuration.config import ModelsRuntime
from configuration.prices import ON_DEMAND_USD_PER_HOUR, PRICES_DATE, PRICES_REGION_NAME

_PERIOD = Duration.minutes(1)
_LATENCY_PERIOD = Duration.minutes(5)
_AGENTS_PERIOD = Duration.minutes(5)
"""Long enough that it matters little whether a minute's sample comes a second late."""
_COST_PERIOD = Duration.hours(1)
_SUMS: dict[str, Any] = {"statistic": "Sum", "period": _PERIOD}
_WIDTH, _HEIGHT, _TEXT_WIDTH = 24, 6, 8

_Metrics = Sequence[cloudwatch.IMetric]


class Dashboard(Construct):
    """A dashboard named like the stack; ``agents`` are the queue agents that are functions, by their runtimes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        flow: TaskFlow,
        agents: Mapping[str, lambda_.IFunction],
    ) -> None:
        super().__init__(scope, construct_id)
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=context.name, default_interval=Duration.hours(3)
        )
        silent = "" if agents else " No line where agents report means that no replica runs."
        header = cloudwatch.TextWidget(
            markdown=f"# {context.name}\nWhat each alarm means, and what to do: `{RUNBOOK}`.{silent}",
            width=_WIDTH,
            height=2,
        )
        dashboard.add_widgets(header)
        dashboard.add_widgets(*_tasks(flow))
        for row in _agents(context.name, agents) if agents else _pods(context):
            dashboard.add_widgets(*row)
        dashboard.add_widgets(*_door(flow))
        dashboard.add_widgets(*_functions(flow))
        on_gpus = [one for one in context.config.models_runtime if not one.is_managed]
        if on_gpus:
            dashboard.add_widgets(*_costs(context.name, on_gpus))


def _tasks(flow: TaskFlow) -> list[cloudwatch.IWidget]:
    of_runtimes = flow.messaging.queues.items()
    tasks = {f"{name}{one.suffix}": queue for name, its in of_runtimes for one, queue in its.by_priority.items()}
    returned, dead = ({name: getattr(its, of) for name, its in of_runtimes} for of in ("returned", "dead"))

    def depth(
        queues: Mapping[str, sqs.Queue], words: str, measure: Callable[..., cloudwatch.Metric] = waiting
    ) -> _Metrics:
        return [measure(one, "Maximum", period=_PERIOD, label=f"{name} {words}") for name, one in queues.items()]

    return _graphs(
        ("Age of the oldest task, s", [oldest_s(one, period=_PERIOD, label=name) for name, one in tasks.items()]),
        ("Tasks that wait, and tasks in work", [*depth(tasks, "wait"), *depth(tasks, "in work", in_flight)]),
        ("Messages returned, and dead", [*depth(returned, "returned"), *depth(dead, "dead")]),
    )


def _pods(context: Context) -> Iterator[list[cloudwatch.IWidget]]:
    """What the agents in pods measure, and what is measured of their nodes."""
    runtimes = context.config.models_runtime
    agents = {one.name: AgentMetrics(context.name, one.name) for one in runtimes}
    yield _replicas(context, runtimes, agents)
    for name, of_runtime in agents.items():
        yield _jobs(name, of_runtime)


def _agents(stack_name: str, agents: Mapping[str, lambda_.IFunction]) -> Iterator[list[cloudwatch.IWidget]]:
    """What Lambda measures of the agents that are functions, and what they measure."""
    yield _graphs(
        (
            "Agents: tasks taken, and functions side by side",
            [one.metric_invocations(**_SUMS, label=f"{name} taken") for name, one in agents.items()],
            [
                one.metric("ConcurrentExecutions", statistic="Maximum", period=_PERIOD, label=f"{name} side by side")
                for name, one in agents.items()
            ],
        ),
        (
            "Agents: time a task takes, ms",
            [
                one.metric_duration(statistic=statistic, period=_LATENCY_PERIOD, label=f"{name} {statistic}")
                for name, one in agents.items()
                for statistic in ("p50", "p95")
            ],
        ),
        (
            "Agents: errors and throttles",
            [one.metric_errors(**_SUMS, label=f"{name} errors") for name, one in agents.items()]
            + [one.metric_throttles(**_SUMS, label=f"{name} throttled") for name, one in agents.items()],
        ),
    )
    for name in agents:
        yield _jobs(name, AgentMetrics(stack_name, name), stages=metrics.STAGES_OF_FUNCTIONS)


def _replicas(
    context: Context, runtimes: list[ModelsRuntime], agents: Mapping[str, AgentMetrics]
) -> list[cloudwatch.IWidget]:
    cluster, is_measured = {"ClusterName": context.name}, context.config.monitoring.container_insights == "enhanced"

    def insights(name: str, **options: Any) -> Iterator[cloudwatch.Metric]:
        """A metric of the CloudWatch observability add-on (its agent's translator/…/awsemf/kubernetes.go)."""
        defaults: dict[str, Any] = {"statistic": "Average", "period": _PERIOD}
        if is_measured:
            yield cloudwatch.Metric(namespace="ContainerInsights", metric_name=name, **defaults | options)

    # Agents of managed runtimes have no GPU to tell of.
    on_gpus = [one for one in runtimes if not one.is_managed]
    namespaces, reporting = dict.fromkeys(one.namespace for one in on_gpus), [agents[one.name] for one in on_gpus]
    gpus = [
        metric
        for name in namespaces
        for metric in insights("pod_gpu_utilization", label=name, dimensions_map={**cluster, "Namespace": name})
    ]
    return _graphs(
        (
            "Replicas that report, and GPUs; looks at queues that failed",
            [
                *map(_reporting, reporting),
                *insights("node_gpu_limit", statistic="Sum", label="GPUs of all nodes", dimensions_map=cluster),
            ],
            [
                agents[one.name].scaling_errors(one.namespace, period=_PERIOD, label=f"{one.name} unread")
                for one in runtimes
            ],
        ),
        *([("GPU in use by its own account (DCGM), %", gpus)] if is_measured else []),
        (
            "Time in which the model server had a job, %",
            [*map(_gpu_busy_share, reporting)],
        ),
    )


def _jobs(name: str, agents: AgentMetrics, *, stages: Sequence[str] = metrics.STAGES) -> list[cloudwatch.IWidget]:
    period, statistics = _LATENCY_PERIOD, ("p50", "p95")
    return _graphs(
        (
            f"{name}: jobs by outcome, and released",
            [
                *(agents.jobs(_PERIOD, one) for one in metrics.OUTCOMES),
                agents.metric(metrics.RETRIES, "Sum", _PERIOD, label="released"),
            ],
        ),
        (
            f"{name}: seconds per stage",
            [
                agents.metric(metrics.STAGE_SECONDS, one, period, label=f"{stage} {one}", stage=stage)
                for stage in stages
                for one in statistics
            ],
        ),
        (
            f"{name}: errors by kind, and seconds waited",
            [_errors(agents, period)],
            [agents.metric(metrics.QUEUE_AGE, one, period, label=f"{name} {one}") for one in statistics],
        ),
    )


def _reporting(agents: AgentMetrics) -> cloudwatch.MathExpression:
    """How many agents report, each of which sends one sample every ``EXPORT_S``: the replicas that can work."""
    samples = agents.metric(metrics.GPU_BUSY, "SampleCount", _AGENTS_PERIOD)
    return agents.formula(
        f"{{samples}} / {_AGENTS_PERIOD.to_seconds() / metrics.EXPORT_S:g}", _AGENTS_PERIOD, samples=samples
    )


def _gpu_busy_share(agents: AgentMetrics) -> cloudwatch.MathExpression:
    """Percent of the time of a mean agent in which its model server ran a job."""
    busy = agents.metric(metrics.GPU_BUSY, "Average", _AGENTS_PERIOD)
    return agents.formula(f"100 * {{busy}} / {metrics.EXPORT_S}", _AGENTS_PERIOD, busy=busy)


def _errors(agents: AgentMetrics, period: Duration) -> cloudwatch.MathExpression:
    """Jobs that failed, one line for each error code that was seen."""
    schema = f'{{"{agents.namespace}",{metrics.RUNTIME},"{metrics.ERROR_TYPE}"}}'
    search = f'{schema} MetricName="{metrics.JOBS}" {metrics.RUNTIME}="{agents.runtime}"'
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{search}', 'Sum', {period.to_seconds():g})", using_metrics={}, period=period, label=""
    )


def _cost_per_job(agents: AgentMetrics, usd_per_hour: float) -> cloudwatch.MathExpression:
    """Dollars of replicas' time for each job that succeeded; the time until a replica reports is not in it."""
    return agents.formula(
        f"{{samples}} / {3600 / metrics.EXPORT_S:g} * {usd_per_hour} / {{succeeded}}",
        _COST_PERIOD,
        samples=agents.metric(metrics.GPU_BUSY, "SampleCount", _COST_PERIOD),
        succeeded=agents.jobs(_COST_PERIOD, "succeeded"),
    )


def _door(flow: TaskFlow) -> list[cloudwatch.IWidget]:
    api = flow.door.api
    return _graphs(
        (
            "Requests",
            [
                api.metric_count(**_SUMS, label="all"),
                api.metric_client_error(**_SUMS, label="4xx"),
                api.metric_server_error(**_SUMS, label="5xx"),
            ],
        ),
        (
            "Answered within, ms",
            [api.metric_latency(statistic=one, period=_PERIOD, label=one) for one in ("p50", "p95", "p99")],
        ),
    )


def _functions(flow: TaskFlow) -> list[cloudwatch.IWidget]:
    api, keeper = flow.door.functions, flow.keeper
    functions = {
        "door": api.door,
        "events": api.stream,
        "authorizer": api.authorizer,
        "returned": keeper.returned,
        "reaper": keeper.reaper,
    }
    if flow.courier is not None:
        functions |= {"webhooks": flow.courier.deliver, "changes": flow.courier.changes}
    return _graphs(
        (
            "Functions: errors and throttles",
            [one.metric_errors(period=_PERIOD, label=f"{name} errors") for name, one in functions.items()]
            + [one.metric_throttles(period=_PERIOD, label=f"{name} throttled") for name, one in functions.items()],
        ),
        (
            "Jobs table: capacity used",
            [
                flow.table.metric_consumed_read_capacity_units(**_SUMS, label="reads"),
                flow.table.metric_consumed_write_capacity_units(**_SUMS, label="writes"),
            ],
        ),
    )


def _costs(stack_name: str, runtimes: list[ModelsRuntime]) -> list[cloudwatch.IWidget]:
    prices = {one.name: _dearest(one) for one in runtimes}
    agents = {name: (AgentMetrics(stack_name, name), price) for name, (_, price) in prices.items()}
    costs = [_cost_per_job(one, price) for one, price in agents.values() if price is not None]
    return [
        cloudwatch.TextWidget(markdown=_pricing(prices), width=_TEXT_WIDTH, height=_HEIGHT),
        *_graphs(("USD of GPU time per finished job", costs), width=_WIDTH - _TEXT_WIDTH),
    ]


def _graphs(
    *graphs: tuple[str, _Metrics] | tuple[str, _Metrics, _Metrics], width: int = _WIDTH
) -> list[cloudwatch.IWidget]:
    """Graphs that share a row: the title of each, and its metrics by the left and the right axis."""
    return [
        cloudwatch.GraphWidget(
            title=title, left=list(left), right=list(*right), width=width // len(graphs), height=_HEIGHT
        )
        for title, left, *right in graphs
    ]


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
