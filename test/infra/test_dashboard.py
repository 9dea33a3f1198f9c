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


def metrics_of(widget):
    """What a widget shows: each expression; of each metric its namespace, name, dimensions' values and statistic."""
    found = set()
    for *names, options in widget["properties"].get("metrics", ()):
        metric = (*names[:2], *names[3::2], options.get("stat", "Average"))
        found.add(options.get("expression", metric))
    return found


@pytest.fixture(scope="module")
def shown(widgets):
    return set().union(*(metrics_of(widget) for widget in widgets))


def of(shown, namespace, name):
    """Dimensions' values and statistic of a metric, wherever it is shown."""
    return {row[2:] for row in shown if row[:2] == (namespace, name)}


LINES = {
    "AWS/SQS ApproximateAgeOfOldestMessage": 2,
    "AWS/SQS ApproximateNumberOfMessagesVisible": 6,
    "AWS/SQS ApproximateNumberOfMessagesNotVisible": 2,
    "AWS/ApiGateway Count": 1,
    "AWS/ApiGateway 4XXError": 1,
    "AWS/ApiGateway 5XXError": 1,
    "AWS/ApiGateway Latency": 3,
    "AWS/Lambda Errors": 3,
    "AWS/Lambda Throttles": 3,
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
    assert of(shown, NAME, "keda.scaledobject.errors") == {("drawing", "fast", "Sum"), ("slow", "slow-1", "Sum")}
    assert {row[1] for row in of(shown, "ContainerInsights", "pod_gpu_utilization")} == {"drawing", "slow"}


def test_jobs_are_shown_by_their_outcome_and_failed_ones_by_their_error(shown):
    outcomes = {(outcome, "fast", "Sum") for outcome in ("succeeded", "failed", "cancelled")}
    assert outcomes <= of(shown, NAME, "queue_agent.jobs")
    assert (
        f'SEARCH(\'{{"{NAME}",runtime,"error.type"}} MetricName="queue_agent.jobs" runtime="fast"\', \'Sum\', 300)'
    ) in shown


def test_replicas_are_counted_by_the_five_samples_that_they_send_in_five_minutes_and_so_is_the_gpus_work(shown):
    assert {"samples_fast / 5", "samples_slow_1 / 5", "100 * busy_fast / 60"} <= shown
    assert ("fast", "SampleCount") in of(shown, NAME, "queue_agent.gpu.busy")


def test_a_jobs_cost_is_that_of_the_dearest_type_and_where_a_price_is_not_known_none_is_made_up(shown, widgets):
    leading, text = (one["properties"]["markdown"] for one in widgets if one["type"] == "text")
    assert "docs/operate.md" in leading
    assert "samples_fast / 60 * 1.212 / succeeded_fast" in shown
    assert "fast: g5.2xlarge, 1.212 USD/h" in text
    assert "2026-07" in text
    assert "slow-1: p5.48xlarge, price not known" in text
    assert not [row for row in shown if isinstance(row, str) and "succeeded_slow" in row]


def test_every_widget_is_of_the_stacks_region(widgets):
    regions = {one["properties"].get("region") for one in widgets if one["type"] == "metric"}
    assert regions == {"${AWS::Region}"}
