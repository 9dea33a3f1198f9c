"""The dashboard: each thing that an operator wants to see is on it, and by the measure that says so."""

import json
from collections import Counter

import pytest
from infrakit.stacks import NAME


@pytest.fixture(scope="module")
def widgets(watched):
    """The dashboard's widgets."""
    (dashboard,) = watched.properties("AWS::CloudWatch::Dashboard").values()
    assert dashboard["DashboardName"] == NAME
    return json.loads(dashboard["DashboardBody"])["widgets"]


@pytest.fixture(scope="module")
def shown(widgets):
    """All lines: each expression; of each metric its namespace, name, dimensions' values and statistic."""
    rows = [row for widget in widgets for row in widget["properties"].get("metrics", ())]
    metrics = [((*names[:2], *names[3::2], options.get("stat", "Average")), options) for *names, options in rows]
    return {options.get("expression", metric) for metric, options in metrics}


LINES = {
    "AWS/SQS ApproximateAgeOfOldestMessage": 2,
    "AWS/SQS ApproximateNumberOfMessagesVisible": 6,
    "AWS/SQS ApproximateNumberOfMessagesNotVisible": 2,
    "AWS/ApiGateway Count": 1,
    "AWS/ApiGateway 4XXError": 1,
    "AWS/ApiGateway 5XXError": 1,
    "AWS/ApiGateway Latency": 3,
    "AWS/Lambda Errors": 7,
    "AWS/Lambda Throttles": 7,
    "AWS/DynamoDB ConsumedReadCapacityUnits": 1,
    "AWS/DynamoDB ConsumedWriteCapacityUnits": 1,
    "ContainerInsights node_gpu_limit": 1,
    "ContainerInsights pod_gpu_utilization": 2,
    f"{NAME} keda.scaledobject.errors": 2,
    f"{NAME} queue_agent.gpu.busy": 4,
    f"{NAME} queue_agent.jobs": 6,
    f"{NAME} queue_agent.queue.age": 4,
    f"{NAME} queue_agent.retries": 2,
    f"{NAME} queue_agent.stage.duration": 2 * 7 * 2,
}
"""How many lines each metric has: one for each runtime, queue, function, stage or percentile."""


def test_everything_that_an_operator_asks_for_is_shown(shown):
    assert Counter(" ".join(row[:2]) for row in shown if isinstance(row, tuple)) == LINES
    assert {
        *((NAME, "keda.scaledobject.errors", *of, "Sum") for of in (("drawing", "fast"), ("slow", "slow-1"))),
        *((NAME, "queue_agent.jobs", outcome, "fast", "Sum") for outcome in ("succeeded", "failed", "cancelled")),
        (NAME, "queue_agent.gpu.busy", "fast", "SampleCount"),
        f'SEARCH(\'{{"{NAME}",runtime,"error.type"}} MetricName="queue_agent.jobs" runtime="fast"\', \'Sum\', 300)',
        # Replicas and the GPU's work are counted by the five samples that an agent sends in five minutes.
        *("samples_fast / 5", "samples_slow_1 / 5", "100 * busy_fast / 60"),
    } <= shown
    assert {row[3] for row in shown if row[1] == "pod_gpu_utilization"} == {"drawing", "slow"}


def test_a_jobs_cost_is_that_of_the_dearest_type_and_where_a_price_is_not_known_none_is_made_up(shown, widgets):
    leading, text = (one["properties"]["markdown"] for one in widgets if one["type"] == "text")
    assert "docs/operate.md" in leading
    assert "samples_fast / 60 * 1.212 / succeeded_fast" in shown
    for said in ("fast: g5.2xlarge, 1.212 USD/h", "2026-07", "slow-1: p5.48xlarge, price not known"):
        assert said in text
    assert not [row for row in shown if isinstance(row, str) and "succeeded_slow" in row]


def test_where_agents_are_functions_lambdas_own_measures_are_shown_and_nothing_of_pods_or_gpus(managed):
    (dashboard,) = managed.properties("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    rows = [row for widget in widgets for row in widget["properties"].get("metrics", ())]
    lines = Counter(" ".join(names[:2]) for names in rows)
    assert lines["AWS/Lambda Errors"] == lines["AWS/Lambda Throttles"] == 7 + 2
    for name, number in (("Invocations", 2), ("ConcurrentExecutions", 2), ("Duration", 4)):
        assert lines[f"AWS/Lambda {name}"] == number
    assert not [line for line in lines if line.startswith(("ContainerInsights", "cloudStack"))]
    assert "GPU" not in dashboard["DashboardBody"]


def test_every_widget_is_of_the_stacks_region(widgets):
    regions = {one["properties"].get("region") for one in widgets if one["type"] == "metric"}
    assert regions == {"${AWS::Region}"}
