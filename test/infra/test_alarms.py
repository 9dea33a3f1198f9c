"""Every alarm: what raises it, what does not, and what it says; fed with data points, without CloudWatch."""

import re
from pathlib import Path

import pytest
from infrakit.stacks import NAME, example

from cdk.metrics import JOBS, SCALING_ERRORS

OPERATE = Path("docs/operate.md").read_text(encoding="utf-8")
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
def alarms(watched):
    """Properties of each alarm, by its name within the stack."""
    found = watched.properties("AWS::CloudWatch::Alarm").values()
    return {one["AlarmName"].removeprefix(f"{NAME}-"): one for one in found}


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
    """Name and statistic of what it looks at, by id, and the seconds of a period."""
    if "Metrics" not in alarm:
        return {"only": (alarm["MetricName"], alarm["Statistic"])}, alarm["Period"]
    stats = {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one}
    [period] = {one["Period"] for one in stats.values()}
    return {name: (one["Metric"]["MetricName"], one["Stat"]) for name, one in stats.items()}, period


def test_each_runtime_has_its_alarms_a_disabled_one_too_and_the_platform_its_own(alarms):
    expected = {f"{runtime}-{kind}" for runtime in ("fast", "slow-1") for kind in RUNTIME_ALARMS}
    assert set(alarms) == expected | set(PLATFORM_ALARMS)


def test_each_alarm_says_what_is_wrong_and_leads_to_its_entry_in_the_runbook_which_has_no_other(alarms):
    headings = re.findall(r"^### (.+)$", OPERATE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for name, alarm in alarms.items():
        sentence, _, link = alarm["AlarmDescription"].partition(" What to do: docs/operate.md#")
        assert sentence.endswith("."), name
        assert link in anchors, name
    table = OPERATE.partition("\n## Alarms\n")[2].partition("\n### ")[0]
    listed = set(re.findall(r"`((?:…-)?[a-z-]+)`", "".join(re.findall(r"^\| `.*?\|", table, re.MULTILINE))))
    assert {re.sub(r"^(fast|slow-1)(?=-)", "…", name) for name in alarms} == listed


def test_the_cost_page_counts_as_many_metrics_as_the_alarms_look_at(alarms):
    from docs.costs import Month, left_out

    (row,) = [row for row in left_out(Month(runtimes=2)) if row.unit == "metric of an alarm, month"]
    assert sum(len(metrics_of(alarm)[0]) for alarm in alarms.values()) == row.quantity


VISIBLE, HIDDEN = "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("slow-1-unread-queue", {"only": (SCALING_ERRORS, "Sum")}),
        ("fast-oldest-task", {"only": ("ApproximateAgeOfOldestMessage", "Maximum")}),
        # Whether tasks wait is seen throughout, and whether one is taken at any time.
        ("fast-no-replicas", {"waiting": (VISIBLE, "Minimum"), "taken": (HIDDEN, "Maximum")}),
        ("fast-failing-jobs", {"ended": (JOBS, "Sum"), "failed": (JOBS, "Sum")}),
        ("fast-returned", {"waiting": (VISIBLE, "Average"), "taken": (HIDDEN, "Average")}),
        ("fast-dead", {"only": (VISIBLE, "Maximum")}),
        ("door-errors", {"errors": ("5XXError", "Sum"), "requests": ("Count", "Sum")}),
        ("keeper-reaper-throttles", {"only": ("Throttles", "Sum")}),
        ("reaper-still", {"runs": ("Invocations", "Sum")}),
    ],
)
def test_an_alarm_looks_at_the_measure_of_its_trouble(alarms, name, metrics):
    assert metrics_of(alarms[name]) == (metrics, 900 if name == "fast-failing-jobs" else 300)


def test_kedas_errors_and_the_share_of_failed_jobs_are_the_runtimes_own(alarms):
    of_keda = {one["Name"]: one["Value"] for one in alarms["slow-1-unread-queue"]["Dimensions"]}
    assert of_keda == {"namespace": "slow", "scaledObject": "slow-1"}
    for one in alarms["fast-failing-jobs"]["Metrics"]:
        if "MetricStat" in one:
            assert {"Name": "runtime", "Value": "fast"} in one["MetricStat"]["Metric"]["Dimensions"]


UNTAKEN, WAITS, TRIED = {"waiting": 1, "taken": 0}, {"waiting": 1, "taken": 0}, {"waiting": 0, "taken": 1}
HALF, PASSING = {"waiting": 0.4, "taken": 0.6}, {"waiting": 0.2, "taken": 0.2}
IDLE, BUSY = {"waiting": 0, "taken": 0}, {"waiting": 9, "taken": 1}
NO_DATA = {"waiting": None, "taken": None}
KEEPER = [name for name in PLATFORM_ALARMS if name.startswith("keeper-")]


@pytest.mark.parametrize(
    ("name", "periods", "raised"),
    [
        # One look at a queue that fails is followed by the next; minutes of them are trouble.
        ("slow-1-unread-queue", [1, 1], True),
        ("slow-1-unread-queue", [0, 300], False),
        ("slow-1-unread-queue", [300, 0], False),
        ("slow-1-unread-queue", [None, None], False),
        # Half of the runtime's start deadline, and a job's run.
        ("fast-oldest-task", [1800 + 300 + 1], True),
        ("fast-oldest-task", [1800 + 300], False),
        ("fast-oldest-task", [None], False),
        ("slow-1-oldest-task", [12 * 3600 + 301], True),
        ("slow-1-oldest-task", [12 * 3600 + 300], False),
        # A replica has 300 s for its node and startupSeconds; a slow one has longer.
        ("fast-no-replicas", [UNTAKEN] * 4, True),
        ("fast-no-replicas", [UNTAKEN] * 3, False),
        *(("fast-no-replicas", [UNTAKEN, UNTAKEN, other, UNTAKEN], False) for other in (IDLE, BUSY, NO_DATA)),
        ("slow-1-no-replicas", [UNTAKEN] * 11, True),
        ("slow-1-no-replicas", [UNTAKEN] * 10, False),
        # More than a quarter of at least ten jobs.
        ("fast-failing-jobs", [{"ended": 40, "failed": 11}], True),
        ("fast-failing-jobs", [{"ended": 40, "failed": 10}], False),
        ("fast-failing-jobs", [{"ended": 10, "failed": 10}], True),
        ("fast-failing-jobs", [{"ended": 9, "failed": 9}], False),
        ("fast-failing-jobs", [{"ended": 40, "failed": None}], False),
        ("fast-failing-jobs", [{"ended": None, "failed": None}], False),
        ("fast-dead", [1], True),
        ("fast-dead", [0], False),
        ("fast-dead", [None], False),
        # A returned message that stays, whether it waits or is tried again; those that come and go are none.
        ("fast-returned", [WAITS, TRIED, HALF], True),
        ("fast-returned", [PASSING] * 3, False),
        ("fast-returned", [WAITS, WAITS], False),
        # More than one request in a hundred, and at least three, twice in a row.
        ("door-errors", [{"errors": 3, "requests": 299}] * 2, True),
        ("door-errors", [{"errors": 3, "requests": 300}] * 2, False),
        ("door-errors", [{"errors": 2, "requests": 2}] * 2, False),
        ("door-errors", [{"errors": None, "requests": None}] * 2, False),
        ("door-errors", [{"errors": 0, "requests": 10}, {"errors": 9, "requests": 10}], False),
        # A quarter of an hour.
        *((name, [1, 1, 1], True) for name in KEEPER),
        *((name, [0, 5, 5], False) for name in KEEPER),
        *((name, [None, None, None], False) for name in KEEPER),
        # No data is no run.
        ("reaper-still", [{"runs": None}] * 3, True),
        ("reaper-still", [{"runs": None}, {"runs": None}, {"runs": 1}], False),
        ("reaper-still", [{"runs": 5}] * 3, False),
    ],
)
def test_an_alarm_is_raised_by_trouble_that_lasts_and_by_nothing_else(alarms, name, periods, raised):
    assert is_raised(alarms[name], *periods) is raised


def test_every_alarm_is_published_when_it_is_raised_and_when_it_is_over(watched, alarms):
    [topic] = [name for name in watched.of_type("AWS::SNS::Topic") if name.startswith("Alarms")]
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [f"${{{topic}}}"]


def test_without_addresses_the_alarms_are_there(stack):
    found = stack.properties("AWS::CloudWatch::Alarm")
    assert len(found) == len(stack.config.models_runtime) * len(RUNTIME_ALARMS) + len(PLATFORM_ALARMS)


def test_the_operators_key_replaces_the_topics_own():
    assert not example("everything").of_type("AWS::KMS::Key")
