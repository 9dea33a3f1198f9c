"""What is measured, by its name in CloudWatch: the agents' own metrics, KEDA's, the queues' and the nodes'."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs

# The collector sends OpenTelemetry's own names on, without Prometheus's suffixes (awsemfexporter's datapoint.go).
JOBS = "queue_agent.jobs"
RETRIES = "queue_agent.retries"
STAGE_SECONDS = "queue_agent.stage.duration"
QUEUE_AGE = "queue_agent.queue.age"
GPU_BUSY = "queue_agent.gpu.busy"

RUNTIME = "runtime"
OUTCOME = "outcome"
STAGE = "stage"
ERROR_TYPE = "error.type"

OUTCOMES = ("succeeded", "failed", "cancelled")
STAGES = ("claim", "prepare", "wait", "run", "store", "finish", "notify")
STAGES_OF_FUNCTIONS = ("run",)
"""What an agent that is a function measures (``queue_agent.telemetry.emf``)."""

DIMENSIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    JOBS: ((RUNTIME,), (RUNTIME, OUTCOME), (RUNTIME, ERROR_TYPE)),
    RETRIES: ((RUNTIME,), (RUNTIME, ERROR_TYPE)),
    STAGE_SECONDS: ((RUNTIME, STAGE),),
    QUEUE_AGE: ((RUNTIME,),),
    GPU_BUSY: ((RUNTIME,),),
}
"""Sets of dimensions that CloudWatch keeps each of the agents' metrics by."""

SCALING_ERRORS = "keda.scaledobject.errors"
SCALING_DIMENSIONS = ("namespace", "scaledObject")
"""KEDA's count of looks at a queue that failed, and its labels (KEDA 2.21, pkg/metricscollector/opentelemetry.go).
A ScaledObject with a fallback counts the first few only; while that holds the collector counts one a minute."""

EXPORT_S = 60
"""How often an agent sends its metrics (OpenTelemetry's default for OTEL_METRIC_EXPORT_INTERVAL)."""


class AgentMetrics:
    """What a runtime's agents measure, and KEDA of it, in the stack's namespace; without an agent no data."""

    def __init__(self, namespace: str, runtime: str) -> None:
        self.namespace = namespace
        self.runtime = runtime

    def jobs(self, period: Duration, outcome: str | None = None) -> cloudwatch.Metric:
        """Jobs that ended; all of them, or those with one of ``OUTCOMES``."""
        dimensions = {} if outcome is None else {OUTCOME: outcome}
        return self.metric(JOBS, "Sum", period, label=outcome or "all", **dimensions)

    def formula(self, expression: str, period: Duration, **metrics: cloudwatch.IMetric) -> cloudwatch.MathExpression:
        """A formula over metrics, whose names in it get the runtime's: in a graph no two metrics may have the same."""
        ids = {name: f"{name}_{self.runtime.replace('-', '_')}" for name in metrics}
        return cloudwatch.MathExpression(
            expression=expression.format(**ids),
            using_metrics={ids[name]: metric for name, metric in metrics.items()},
            period=period,
            label=self.runtime,
        )

    def metric(
        self, name: str, statistic: str, period: Duration, *, label: str | None = None, **dimensions: str
    ) -> cloudwatch.Metric:
        """One of the agents' metrics, of this runtime and with further dimensions of it."""
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=name,
            dimensions_map={RUNTIME: self.runtime, **dimensions},
            statistic=statistic,
            period=period,
            label=label,
        )

    def scaling_errors(
        self, kubernetes_namespace: str, *, period: Duration, label: str | None = None
    ) -> cloudwatch.Metric:
        """How often KEDA could not see how much work there is; until the first time there is no data.

        The runtime's ScaledObject is named like the runtime.
        """
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=SCALING_ERRORS,
            dimensions_map=dict(zip(SCALING_DIMENSIONS, (kubernetes_namespace, self.runtime), strict=True)),
            statistic="Sum",
            period=period,
            label=label,
        )


def waiting(queue: sqs.IQueue, statistic: str, *, period: Duration, label: str | None = None) -> cloudwatch.Metric:
    """How many messages of a queue can be received."""
    return queue.metric_approximate_number_of_messages_visible(statistic=statistic, period=period, label=label)


def in_flight(queue: sqs.IQueue, statistic: str, *, period: Duration, label: str | None = None) -> cloudwatch.Metric:
    """How many messages of a queue somebody has received and not yet deleted."""
    return queue.metric_approximate_number_of_messages_not_visible(statistic=statistic, period=period, label=label)


def oldest_s(queue: sqs.IQueue, *, period: Duration, label: str | None = None) -> cloudwatch.Metric:
    """Age of a queue's oldest message, one in flight included."""
    return queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=period, label=label)
