"""The dashboard: each thing that an operator wants to see is on it, and by the measure that says so."""

import json

import pytest

from configuration.config import parse_config

CONFIG = {
    "stackName": "sdoneks",
    "modelBucketArn": "arn:aws:s3:::models",
    "modelsRuntime": [
        {"name": "fast", "namespace": "drawing", "type": "comfyui"},
        {
            "name": "slow-1",
            "namespace": "slow",
            "type": "comfyui",
            "extraValues": {"karpenter": {"provisioner": {"instanceType": ["g5.xlarge", "p5.48xlarge"]}}},
        },
    ],
}


@pytest.fixture(scope="module")
def widgets(template_of):
    """The dashboard's widgets; what CloudFormation fills in is written as its logical id."""
    from infrakit.watched import add_watched

    from cdk.dashboard import Dashboard

    config = parse_config(CONFIG)
    template = template_of(
        lambda stack: Dashboard(stack, "Dashboard", config=config, watched=add_watched(stack, config))
    )
    (dashboard,) = template.find_resources("AWS::CloudWatch::Dashboard").values()
    assert dashboard["Properties"]["DashboardName"] == "Test"
    parts = dashboard["Properties"]["DashboardBody"]["Fn::Join"][1]
    body = "".join(part if isinstance(part, str) else json.dumps(part).replace('"', "") for part in parts)
    return json.loads(body)["widgets"]


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


def test_it_leads_to_the_runbook_first(widgets):
    assert widgets[0]["type"] == "text"
    assert "docs/operate.md" in widgets[0]["properties"]["markdown"]


@pytest.mark.parametrize(
    ("name", "queues"),
    [
        ("ApproximateAgeOfOldestMessage", 2),
        ("ApproximateNumberOfMessagesVisible", 6),
        ("ApproximateNumberOfMessagesNotVisible", 2),
    ],
)
def test_the_queues_of_each_runtime_are_shown(shown, name, queues):
    assert len(of(shown, "AWS/SQS", name)) == queues


def test_each_stages_median_and_its_slow_end_are_shown(shown):
    stages = ("claim", "prepare", "wait", "run", "store", "finish", "notify")
    assert of(shown, "Test", "queue_agent.stage.duration") == {
        (runtime, stage, statistic)
        for runtime in ("fast", "slow-1")
        for stage in stages
        for statistic in ("p50", "p95")
    }


def test_jobs_are_shown_by_their_outcome_and_failed_ones_by_their_error(shown):
    outcomes = {(outcome, "fast", "Sum") for outcome in ("succeeded", "failed", "cancelled")}
    assert outcomes <= of(shown, "Test", "queue_agent.jobs")
    assert (
        'SEARCH(\'{"Test",runtime,"error.type"} MetricName="queue_agent.jobs" runtime="fast"\', \'Sum\', 300)'
    ) in shown


def test_what_is_given_back_and_how_long_tasks_waited_is_shown(shown):
    assert of(shown, "Test", "queue_agent.retries") == {("fast", "Sum"), ("slow-1", "Sum")}
    assert ("fast", "p95") in of(shown, "Test", "queue_agent.queue.age")


def test_replicas_are_counted_by_the_samples_that_they_send(shown):
    """Five in five minutes from each."""
    assert {"samples_fast / 5", "samples_slow_1 / 5"} <= shown
    assert ("fast", "SampleCount") in of(shown, "Test", "queue_agent.gpu.busy")


def test_looks_at_a_queue_that_failed_are_shown(shown):
    from cdk.metrics import SCALING_ERRORS

    assert of(shown, "Test", SCALING_ERRORS) == {("drawing", "fast", "Sum"), ("slow", "slow-1", "Sum")}


def test_the_gpus_work_is_shown_by_the_agents_account_and_by_the_gpus_own(shown):
    assert "100 * busy_fast / 60" in shown
    assert of(shown, "ContainerInsights", "pod_gpu_utilization") == {
        ("sdoneksStack", "drawing", "Average"),
        ("sdoneksStack", "slow", "Average"),
    }
    assert of(shown, "ContainerInsights", "node_gpu_limit") == {("sdoneksStack", "Sum")}


@pytest.mark.parametrize("name", ["Count", "4XXError", "5XXError"])
def test_the_doors_requests_and_refusals_are_shown(shown, name):
    assert of(shown, "AWS/ApiGateway", name) == {("Api", "Sum")}


def test_how_fast_the_door_answers_is_shown(shown):
    assert {row[-1] for row in of(shown, "AWS/ApiGateway", "Latency")} == {"p50", "p95", "p99"}


@pytest.mark.parametrize("name", ["Errors", "Throttles"])
def test_the_functions_errors_and_throttles_are_shown(shown, name):
    assert len(of(shown, "AWS/Lambda", name)) == 3


def test_the_tables_load_is_shown(shown):
    assert of(shown, "AWS/DynamoDB", "ConsumedReadCapacityUnits") == {("jobs", "Sum")}
    assert of(shown, "AWS/DynamoDB", "ConsumedWriteCapacityUnits") == {("jobs", "Sum")}


def test_a_jobs_cost_is_that_of_the_dearest_type_and_its_price_is_named(shown, widgets):
    (text,) = [one["properties"]["markdown"] for one in widgets[1:] if one["type"] == "text"]
    assert "samples_fast / 60 * 1.212 / succeeded_fast" in shown
    assert "fast: g5.2xlarge, 1.212 USD/h" in text
    assert "2026-07" in text


def test_where_a_price_is_not_known_no_cost_is_made_up(shown, widgets):
    (text,) = [one["properties"]["markdown"] for one in widgets[1:] if one["type"] == "text"]
    assert "slow-1: p5.48xlarge, price not known" in text
    assert not [row for row in shown if isinstance(row, str) and "succeeded_slow" in row]


def test_every_widget_is_of_the_stacks_region(widgets):
    regions = {one["properties"].get("region") for one in widgets if one["type"] == "metric"}
    assert regions == {"{Ref: AWS::Region}"}
