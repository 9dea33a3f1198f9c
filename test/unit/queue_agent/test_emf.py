"""A function's metrics: each line is one that CloudWatch reads, and says what was measured of one message."""

import asyncio
import contextlib
import json
import re

import pytest
from jsonschema import Draft202012Validator

from queue_agent.errors import InputError
from queue_agent.telemetry.emf import EmbeddedMetricsRecorder

NAME = {"type": "string", "minLength": 1, "maxLength": 255}
DATA = "Bytes|Bits|(Kilo|Mega|Giga|Tera)(bytes|bits)"
UNIT = rf"(Seconds|Milliseconds|Microseconds|Percent|None|(Count|{DATA})(/Second)?)"
METRIC = {
    "type": "object",
    "required": ["Name"],
    "properties": {"Name": NAME, "Unit": {"pattern": f"^{UNIT}$"}, "StorageResolution": {"enum": [1, 60]}},
    "additionalProperties": False,
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": NAME,
        "Dimensions": {"type": "array", "minItems": 1, "items": {"type": "array", "maxItems": 30, "items": NAME}},
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": METRIC},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                # In milliseconds: CloudWatch refuses what is two weeks old, as all is that is sent in seconds.
                "Timestamp": {"type": "integer", "minimum": 1_700_000_000_000},
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": DIRECTIVE},
            },
        }
    },
}
"""The embedded metric format by its specification, which also says what ``metrics_of`` checks."""
AGE = {("queue_agent.queue.age", "runtime"): 3}
RUN = ("queue_agent.stage.duration", "runtime", "stage")


def metrics_of(line):
    """A line's metrics by name and dimensions, and its members; fails where CloudWatch would not read it."""
    members = json.loads(line)
    Draft202012Validator(SCHEMA).validate(members)
    metrics = {}
    for directive in members.pop("_aws")["CloudWatchMetrics"]:
        assert directive["Namespace"] == "cloud"
        for names in directive["Dimensions"]:
            values = [members[name] for name in names]
            assert all(isinstance(one, str) and re.fullmatch(r"[ -~]{1,1024}", one) for one in values)
            for metric in directive["Metrics"]:
                assert isinstance(members[metric["Name"]], int | float)
                metrics[metric["Name"], *names] = members[metric["Name"]]
    return metrics, members


@pytest.fixture
def recorder():
    return EmbeddedMetricsRecorder("cloud", "cloud-1")


@pytest.fixture
def lines(capsys):
    """The lines that were written since the last call: each one's metrics, and its members."""
    return lambda: [metrics_of(line) for line in capsys.readouterr().out.splitlines()]


def message(recorder):
    return recorder.message(trace_header=None, traceparent=None)


def counted(name, *dimensions):
    return {(f"queue_agent.{name}", "runtime"): 1} | {(f"queue_agent.{name}", "runtime", one): 1 for one in dimensions}


@pytest.mark.parametrize(
    ("calls", "metrics", "dimensions"),
    [
        ([("job_ended", "succeeded")], counted("jobs", "outcome"), {"outcome": "succeeded"}),
        ([("job_ended", "cancelled")], counted("jobs", "outcome"), {"outcome": "cancelled"}),
        (
            [("job_ended", "failed", "rejected")],
            counted("jobs", "outcome", "error.type"),
            {"outcome": "failed", "error.type": "rejected"},
        ),
        ([("retried", "throttled")], counted("retries", "error.type"), {"error.type": "throttled"}),
        # What ended the job is not what its notice met.
        (
            [("job_ended", "succeeded"), ("retried", "platform_failed")],
            counted("jobs", "outcome") | counted("retries"),
            {"outcome": "succeeded"},
        ),
        ([("queue_age", 3)], AGE, {}),
        ([("queue_age", -3)], dict.fromkeys(AGE, 0), {}),  # sent in the future
        ([("queue_age", 3), ("job_ended", "succeeded")], AGE | counted("jobs", "outcome"), {"outcome": "succeeded"}),
    ],
)
def test_what_was_measured_of_a_message_is_one_line_that_cloudwatch_reads(recorder, lines, calls, metrics, dimensions):
    with message(recorder):
        recorder.annotate(job="019a", task="a prompt", tenant="ada")
        for name, *arguments in calls:
            getattr(recorder, name)(*arguments)
    [(written, members)] = lines()
    assert written == metrics
    assert {name: one for name, one in members.items() if isinstance(one, str)} == {"runtime": "cloud-1", **dimensions}


def test_of_the_stages_the_run_is_measured_and_only_where_it_succeeds(recorder, lines):
    with message(recorder):
        for stage in ("wait", "run", "store"):
            with recorder.stage(stage):
                pass
    with message(recorder), pytest.raises(InputError), recorder.stage("run"):
        raise InputError
    [(metrics, members)] = lines()
    assert list(metrics) == [RUN]
    assert members["stage"] == "run"
    assert 0 <= metrics[RUN] < 60


def test_a_message_of_which_nothing_is_measured_leaves_no_line_and_what_is_outside_of_one_no_trace(recorder, lines):
    recorder.job_ended("succeeded")
    with message(recorder):
        recorder.annotate(attempt=2)
    assert lines() == []


def test_a_message_that_is_given_up_keeps_its_line(recorder, lines):
    with contextlib.suppress(InputError), message(recorder):
        recorder.queue_age(3)
        raise InputError
    [(metrics, _)] = lines()
    assert metrics == AGE


async def test_messages_at_the_same_time_have_a_line_each_and_tasks_within_one_write_to_it(recorder, lines):
    all_began = asyncio.Barrier(3)

    async def one(outcome):
        with message(recorder):
            await all_began.wait()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.to_thread(recorder.job_ended, outcome))

    outcomes = ("succeeded", "failed", "cancelled")
    await asyncio.gather(*map(one, outcomes))
    assert {members["outcome"] for _, members in lines()} == set(outcomes)
