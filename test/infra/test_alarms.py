"""Every alarm: what raises it, what does not, and what it says; fed with data points, without CloudWatch."""

import json
import re
from pathlib import Path

import pytest

from configuration.config import parse_config

ROOT = Path(__file__).resolve().parents[2]
OPERATE = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
CONFIG = {
    "stackName": "sdoneks",
    "modelBucketArn": "arn:aws:s3:::models",
    "modelsRuntime": [
        {"name": "fast", "namespace": "fast", "type": "comfyui", "deadlines": {"startSeconds": 3600}},
        {
            "name": "slow-1",
            "namespace": "slow",
            "type": "comfyui",
            "disabled": True,
            "extraValues": {"runtime": {"inferenceApi": {"startupSeconds": 3000}}},
        },
    ],
}
RUNTIME_ALARMS = ("unread-queue", "oldest-task", "no-replicas", "failing-jobs", "returned", "dead")
PLATFORM_ALARMS = (
    "door-errors",
    "keeper-returned-errors",
    "keeper-returned-throttles",
    "keeper-reaper-errors",
    "keeper-reaper-throttles",
    "reaper-still",
)


@pytest.fixture(scope="module")
def synthesized(template_of):
    """The template with the alarms of a configuration."""

    def synthesize(key_arn=None, **more):
        from aws_cdk import aws_kms as kms
        from infrakit.watched import add_watched

        from cdk.alarms import Alarms

        config = parse_config({**CONFIG, **more})

        def build(stack):
            key = key_arn and kms.Key.from_key_arn(stack, "Key", key_arn)
            Alarms(stack, "Alarms", config=config, watched=add_watched(stack, config), key=key)

        return template_of(build)

    return synthesize


@pytest.fixture(scope="module")
def template(synthesized):
    return synthesized(monitoring={"alarmEmails": ["ops@example.com", "boss@example.com"]})


@pytest.fixture(scope="module")
def alarms(template):
    """Properties of each alarm, by its name within the stack."""
    found = template.find_resources("AWS::CloudWatch::Alarm").values()
    return {one["Properties"]["AlarmName"].removeprefix("Test-"): one["Properties"] for one in found}


def value_of(expression, values):
    """A metric math expression over one period; None where a metric in it has no data there."""
    names = set(re.findall(r"\b[a-z_]+\b", expression))
    if any(values.get(name) is None for name in names):
        return None
    python = re.sub(r"IF\((.+), (.+), (.+)\)", r"((\2) if (\1) else (\3))", expression).replace(" AND ", " and ")
    return eval(python, {}, values)


def is_raised(alarm, *periods):
    """Whether an alarm is raised by the data of its last periods, oldest first: numbers by metric, or one number."""
    missing = alarm["TreatMissingData"] == "breaching"
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) == alarm["EvaluationPeriods"]

    def breaches(data):
        values = data if isinstance(data, dict) else {"only": data}
        expression = next((one["Expression"] for one in alarm.get("Metrics", ()) if "Expression" in one), "only")
        value = value_of(expression, values)
        return missing if value is None else value > alarm["Threshold"]

    last = periods[-alarm["EvaluationPeriods"] :]
    return len(last) == alarm["EvaluationPeriods"] and all(breaches(data) for data in last)


def metrics_of(alarm):
    """Name and statistic of what it looks at, by id."""
    if "Metrics" not in alarm:
        return {"only": (alarm["MetricName"], alarm["Statistic"])}
    stats = {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one}
    return {name: (one["Metric"]["MetricName"], one["Stat"]) for name, one in stats.items()}


def test_each_runtime_has_its_alarms_a_disabled_one_too_and_the_platform_its_own(alarms):
    expected = {f"{runtime}-{kind}" for runtime in ("fast", "slow-1") for kind in RUNTIME_ALARMS}
    assert set(alarms) == expected | set(PLATFORM_ALARMS)


def test_each_alarm_says_what_is_wrong_and_where_the_runbook_says_what_to_do(alarms):
    headings = re.findall(r"^### (.+)$", OPERATE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for name, alarm in alarms.items():
        sentence, _, link = alarm["AlarmDescription"].partition(" What to do: docs/operate.md#")
        assert sentence.endswith("."), name
        assert link in anchors, name


def test_the_runbooks_table_has_every_alarm_and_no_other(alarms):
    table = OPERATE.partition("\n## Alarms\n")[2].partition("\n### ")[0]
    listed = set(re.findall(r"`((?:…-)?[a-z-]+)`", "".join(re.findall(r"^\| `.*?\|", table, re.MULTILINE))))
    runtimes = re.compile(r"^(fast|slow-1)(?=-)")
    assert {runtimes.sub("…", name) for name in alarms} == listed


def test_the_cost_page_counts_as_many_metrics_as_the_alarms_look_at(alarms):
    from docs.costs import Month, left_out

    (row,) = [row for row in left_out(Month(runtimes=2)) if row.unit == "metric of an alarm, month"]
    assert sum(len(metrics_of(alarm)) for alarm in alarms.values()) == row.quantity


def test_a_queue_that_keda_cannot_read_for_minutes_raises_an_alarm_and_a_look_that_failed_none(alarms):
    from cdk.metrics import SCALING_ERRORS

    alarm = alarms["slow-1-unread-queue"]
    assert metrics_of(alarm) == {"only": (SCALING_ERRORS, "Sum")}
    assert alarm["Namespace"] == "Test"
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {"namespace": "slow", "scaledObject": "slow-1"}
    assert is_raised(alarm, 1, 1)
    assert not is_raised(alarm, 0, 300)
    assert not is_raised(alarm, 300, 0)
    assert not is_raised(alarm, None, None)


def test_a_task_older_than_half_of_its_runtimes_start_deadline_and_a_jobs_run_raises_an_alarm(alarms):
    assert metrics_of(alarms["fast-oldest-task"]) == {"only": ("ApproximateAgeOfOldestMessage", "Maximum")}
    assert is_raised(alarms["fast-oldest-task"], 1800 + 300 + 1)
    assert not is_raised(alarms["fast-oldest-task"], 1800 + 300)
    assert not is_raised(alarms["slow-1-oldest-task"], 12 * 3600 + 300)
    assert is_raised(alarms["slow-1-oldest-task"], 12 * 3600 + 301)


def test_an_empty_queue_has_no_age_and_raises_nothing(alarms):
    assert not is_raised(alarms["fast-oldest-task"], None)


def test_tasks_that_nobody_takes_raise_an_alarm_once_a_replica_had_the_time_to_start(alarms):
    alarm, untaken = alarms["fast-no-replicas"], {"waiting": 1, "taken": 0}
    assert alarm["EvaluationPeriods"] * 5 * 60 >= 900 + 300
    assert is_raised(alarm, *[untaken] * 4)
    assert not is_raised(alarm, *[untaken] * 3)


def test_a_runtime_that_starts_slowly_has_longer(alarms):
    untaken = {"waiting": 7, "taken": 0}
    assert not is_raised(alarms["slow-1-no-replicas"], *[untaken] * 10)
    assert is_raised(alarms["slow-1-no-replicas"], *[untaken] * 11)


@pytest.mark.parametrize(
    "period", [{"waiting": 0, "taken": 0}, {"waiting": 9, "taken": 1}, {"waiting": None, "taken": None}]
)
def test_a_runtime_at_rest_one_at_work_and_one_without_data_are_no_trouble(alarms, period):
    untaken = {"waiting": 1, "taken": 0}
    assert not is_raised(alarms["fast-no-replicas"], untaken, untaken, period, untaken)


def test_whether_tasks_wait_is_seen_throughout_and_whether_one_is_taken_at_any_time(alarms):
    assert metrics_of(alarms["fast-no-replicas"]) == {
        "waiting": ("ApproximateNumberOfMessagesVisible", "Minimum"),
        "taken": ("ApproximateNumberOfMessagesNotVisible", "Maximum"),
    }


@pytest.mark.parametrize(
    ("ended", "failed", "raised"), [(40, 11, True), (40, 10, False), (9, 9, False), (10, 10, True), (40, None, False)]
)
def test_more_than_a_quarter_of_at_least_ten_jobs_must_fail(alarms, ended, failed, raised):
    assert is_raised(alarms["fast-failing-jobs"], {"ended": ended, "failed": failed}) is raised


def test_a_runtime_scaled_to_zero_fails_no_jobs(alarms):
    assert not is_raised(alarms["fast-failing-jobs"], {"ended": None, "failed": None})


def test_the_share_of_failed_jobs_is_of_the_agents_own_count(alarms):
    from cdk.metrics import JOBS

    alarm = alarms["fast-failing-jobs"]
    assert metrics_of(alarm) == {"ended": (JOBS, "Sum"), "failed": (JOBS, "Sum")}
    metrics = {one["Id"]: one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one}
    dimensions = {name: {d["Name"]: d["Value"] for d in one["Dimensions"]} for name, one in metrics.items()}
    assert dimensions == {"ended": {"runtime": "fast"}, "failed": {"runtime": "fast", "outcome": "failed"}}
    assert {one["Namespace"] for one in metrics.values()} == {"Test"}


def test_one_dead_message_is_enough(alarms):
    assert is_raised(alarms["fast-dead"], 1)
    assert not is_raised(alarms["fast-dead"], 0)
    assert not is_raised(alarms["fast-dead"], None)


def test_a_returned_message_that_stays_is_trouble_whether_it_waits_or_is_tried_again(alarms):
    waits, tried, half = {"waiting": 1, "taken": 0}, {"waiting": 0, "taken": 1}, {"waiting": 0.4, "taken": 0.6}
    assert is_raised(alarms["fast-returned"], waits, tried, half)


def test_returned_messages_that_come_and_go_are_none(alarms):
    passing, waits = {"waiting": 0.2, "taken": 0.2}, {"waiting": 1, "taken": 0}
    assert not is_raised(alarms["fast-returned"], passing, passing, passing)
    assert not is_raised(alarms["fast-returned"], waits, waits)


@pytest.mark.parametrize(
    ("errors", "requests", "raised"),
    [(3, 299, True), (3, 300, False), (2, 2, False), (0, 9000, False), (None, None, False)],
)
def test_the_door_may_answer_one_in_a_hundred_with_an_error_of_its_own(alarms, errors, requests, raised):
    period = {"errors": errors, "requests": requests}
    assert is_raised(alarms["door-errors"], period, period) is raised


def test_one_bad_spell_of_the_door_is_let_pass(alarms):
    assert not is_raised(alarms["door-errors"], {"errors": 0, "requests": 10}, {"errors": 9, "requests": 10})


@pytest.mark.parametrize("name", [name for name in PLATFORM_ALARMS if name.startswith("keeper-")])
def test_the_keeper_in_trouble_for_a_quarter_of_an_hour_raises_an_alarm_and_for_less_none(alarms, name):
    assert is_raised(alarms[name], 1, 1, 1)
    assert not is_raised(alarms[name], 0, 5, 5)
    assert not is_raised(alarms[name], None, None, None)
    assert alarms[name]["Period"] * alarms[name]["EvaluationPeriods"] == 15 * 60


def test_a_reaper_that_nobody_calls_is_trouble_because_there_is_no_data(alarms):
    assert is_raised(alarms["reaper-still"], {"runs": None}, {"runs": None}, {"runs": None})
    assert not is_raised(alarms["reaper-still"], {"runs": None}, {"runs": None}, {"runs": 1})
    assert not is_raised(alarms["reaper-still"], {"runs": 5}, {"runs": 5}, {"runs": 5})


def test_every_alarm_tells_the_topic_when_it_is_raised_and_when_it_is_over(template, alarms):
    (topic,) = template.find_resources("AWS::SNS::Topic")
    assert {json.dumps([one["AlarmActions"], one["OKActions"]]) for one in alarms.values()} == {
        json.dumps([[{"Ref": topic}]] * 2)
    }


def test_each_address_is_subscribed(template):
    found = template.find_resources("AWS::SNS::Subscription").values()
    assert {(one["Properties"]["Protocol"], one["Properties"]["Endpoint"]) for one in found} == {
        ("email", "ops@example.com"),
        ("email", "boss@example.com"),
    }


def test_cloudwatch_may_publish_this_stacks_alarms_to_the_topic(template):
    (policy,) = template.find_resources("AWS::SNS::TopicPolicy").values()
    (allowed,) = [one for one in policy["Properties"]["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == "sns:Publish"
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert json.dumps(allowed["Condition"]["ArnLike"]).endswith(':alarm:Test-*"]]}}')


def test_the_topic_has_a_key_that_cloudwatch_may_use(template):
    ((key_id, key),) = template.find_resources("AWS::KMS::Key").items()
    (topic,) = template.find_resources("AWS::SNS::Topic").values()
    assert topic["Properties"]["KmsMasterKeyId"] == {"Fn::GetAtt": [key_id, "Arn"]}
    assert key["Properties"]["EnableKeyRotation"] is True
    (granted,) = [one for one in key["Properties"]["KeyPolicy"]["Statement"] if "Service" in one["Principal"]]
    assert granted["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(granted["Action"])


def test_the_operators_key_is_used_where_there_is_one(synthesized):
    arn = "arn:aws:kms:us-east-1:123456789012:key/1234"
    template = synthesized(key_arn=arn, monitoring={"alarmEmails": ["ops@example.com"]})
    template.resource_count_is("AWS::KMS::Key", 0)
    template.has_resource_properties("AWS::SNS::Topic", {"KmsMasterKeyId": arn})


def test_without_addresses_the_alarms_are_there_and_tell_nobody(synthesized):
    template = synthesized()
    found = template.find_resources("AWS::CloudWatch::Alarm").values()
    assert len(found) == 2 * len(RUNTIME_ALARMS) + len(PLATFORM_ALARMS)
    assert not [one for one in found if "AlarmActions" in one["Properties"]]
    template.resource_count_is("AWS::SNS::Topic", 0)
