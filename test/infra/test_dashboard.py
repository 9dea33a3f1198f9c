"""The dashboard: each thing that an operator wants to see is on it, and by the measure that says so."""

import json
from collections import Counter

import pytest
from infrakit.stacks import NAME

from cdk import metrics
from queue_agent.telemetry.emf import EmbeddedMetricsRecorder


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


@pytest.fixture(scope="module")
def of_functions(managed):
    """The dashboard of a stack whose agents are functions."""
    (dashboard,) = managed.properties("AWS::CloudWatch::Dashboard").values()
    return dashboard["DashboardBody"]


def rows_of(body):
    return [row for widget in json.loads(body)["widgets"] for row in widget["properties"].get("metrics", ())]


def test_where_agents_are_functions_lambdas_measures_and_theirs_are_shown_and_nothing_of_pods_or_gpus(of_functions):
    lines = Counter(" ".join(names[:2]) for names in rows_of(of_functions) if len(names) > 1)
    assert lines["AWS/Lambda Errors"] == lines["AWS/Lambda Throttles"] == 7 + 2
    for name, number in (("Invocations", 2), ("ConcurrentExecutions", 2), ("Duration", 4)):
        assert lines[f"AWS/Lambda {name}"] == number
    assert {line: number for line, number in lines.items() if line.startswith("cloudStack queue")} == {
        "cloudStack queue_agent.jobs": 6,
        "cloudStack queue_agent.retries": 2,
        "cloudStack queue_agent.stage.duration": 2 * 2,
        "cloudStack queue_agent.queue.age": 4,
    }
    assert "ContainerInsights" not in of_functions
    assert "GPU" not in of_functions


@pytest.fixture
def written(capsys):
    """What a function of runtime "single" writes: each metric's name and dimensions."""
    recorder = EmbeddedMetricsRecorder("cloudStack", "single")
    for outcome, code in (("succeeded", None), ("failed", "rejected"), ("cancelled", None)):
        with recorder.message(trace_header=None, traceparent=None), recorder.stage("run"):
            recorder.queue_age(1)
            recorder.job_ended(outcome, code)
    with recorder.message(trace_header=None, traceparent=None):
        recorder.retried("throttled")
    return {
        (directive["Metrics"][0]["Name"], frozenset((name, line[name]) for name in names))
        for line in map(json.loads, capsys.readouterr().out.splitlines())
        for directive in line["_aws"]["CloudWatchMetrics"]
        for names in directive["Dimensions"]
    }


def test_a_function_writes_what_its_dashboard_and_alarms_read_and_keeps_metrics_as_a_cluster_does(
    managed, of_functions, written
):
    shown = {
        (name, frozenset(zip(names[::2], names[1::2], strict=True)))
        for name, *names in (row[1:-1] for row in rows_of(of_functions) if row[0] == "cloudStack")
        if "single" in names
    }
    alarms = [one for one in managed.properties("AWS::CloudWatch::Alarm").values() if "single-failing" in str(one)]
    watched = {
        (metric["MetricName"], frozenset((one["Name"], one["Value"]) for one in metric["Dimensions"]))
        for query in alarms[0]["Metrics"]
        if (metric := query.get("MetricStat", {}).get("Metric"))
    }
    assert (len(shown), len(watched)) == (6, 2)
    assert shown | watched <= written
    assert 'SEARCH(\'{\\"cloudStack\\",runtime,\\"error.type\\"}' in of_functions
    kept = {(name, frozenset(one)) for name, sets in metrics.DIMENSIONS.items() for one in sets}
    assert {(name, frozenset(dict(by))) for name, by in written} == kept - {
        ("queue_agent.gpu.busy", frozenset({"runtime"}))
    }


def test_every_widget_is_of_the_stacks_region(widgets):
    regions = {one["properties"].get("region") for one in widgets if one["type"] == "metric"}
    assert regions == {"${AWS::Region}"}


def test_the_dashboard_shows_nothing_that_the_profile_does_not_measure(lean):
    [of_lean] = lean.properties("AWS::CloudWatch::Dashboard").values()
    assert "ContainerInsights" not in of_lean["DashboardBody"]
    assert "DCGM" not in of_lean["DashboardBody"]
    assert "queue_agent.gpu.busy" in of_lean["DashboardBody"]
