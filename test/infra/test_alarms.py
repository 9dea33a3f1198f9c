"""Every alarm: what raises it, what does not, and what it says; fed with data points, without CloudWatch."""

import re
from pathlib import Path

import pytest
import yaml
from infrakit.stacks import example

OPERATE = Path("docs/operate.md").read_text(encoding="utf-8")
CASES = yaml.safe_load(Path(__file__).with_name("alarms.yaml").read_text(encoding="utf-8"))
OF_A_RUNTIME = {name.removeprefix("fast-") for name in CASES if name.startswith("fast-")} | {"unread-queue"}
OF_THE_PLATFORM = {name for name in CASES if not name.startswith(("fast-", "slow-1-", "single-"))}
OF_EACH = {"oldest-task", "no-replicas", "failing-jobs", "returned", "dead"}
"""What is watched of every runtime."""


def alarms_of(stack):
    """Properties of each alarm, by its name within the stack."""
    found = stack.properties("AWS::CloudWatch::Alarm").values()
    return {one["AlarmName"].removeprefix(f"{stack.config.cloudformation_stack}-"): one for one in found}


@pytest.fixture(scope="module")
def alarms(watched):
    """The alarms of a stack with runtimes in pods."""
    return alarms_of(watched)


@pytest.fixture(scope="module")
def of_functions(managed):
    """The alarms of a stack whose agents are functions."""
    return alarms_of(managed)


def value_of(expression, values):
    """A metric math expression over one period; None where a metric in it has no data there."""
    names = set(re.findall(r"\b[a-z_]+\b", expression))
    if any(values.get(name) is None for name in names):
        return None
    python = re.sub(r"IF\((.+), (.+), (.+)\)", r"((\2) if (\1) else (\3))", expression).replace(" AND ", " and ")
    return eval(python, {}, values)


def is_raised(alarm, periods):
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
    """What it looks at, by id: name, statistic and seconds of a period."""
    if "Metrics" not in alarm:
        return {"only": [alarm["MetricName"], alarm["Statistic"], alarm["Period"]]}
    stats = {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one}
    return {name: [one["Metric"]["MetricName"], one["Stat"], one["Period"]] for name, one in stats.items()}


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_is_raised_by_trouble_that_lasts_and_by_nothing_else(alarms, of_functions, name):
    alarm, case = (of_functions | alarms)[name], CASES[name]
    if "measures" in case:
        period_s = case.get("period_s", 300)
        assert metrics_of(alarm) == {of: [*measure, period_s] for of, measure in case["measures"].items()}
    for periods in case["raised"]:
        assert is_raised(alarm, periods), periods
    for periods in case["quiet"]:
        assert not is_raised(alarm, periods), periods


def test_each_runtime_has_its_alarms_a_disabled_one_too_and_the_platform_its_own(alarms, stack):
    assert (
        set(alarms)
        == {f"{runtime}-{kind}" for runtime in ("fast", "slow-1") for kind in OF_A_RUNTIME} | OF_THE_PLATFORM
    )
    without_addresses = stack.of_type("AWS::CloudWatch::Alarm")
    assert len(without_addresses) == len(stack.config.models_runtime) * len(OF_A_RUNTIME) + len(OF_THE_PLATFORM)


def test_where_agents_are_functions_their_crashes_and_throttles_are_watched_in_place_of_pods(of_functions):
    of_single = {name.removeprefix("single-") for name in of_functions if name.startswith("single-")}
    assert of_single == OF_EACH | {"function-errors", "function-throttles"}
    assert {name for name in of_functions if not name.startswith(("single-", "cloud-1-"))} == OF_THE_PLATFORM
    queues = {f"cloud-1{priority}-oldest-task" for priority in ("", "-high", "-low")}
    assert queues <= of_functions.keys()


def test_each_alarm_says_what_is_wrong_and_leads_to_its_entry_in_the_runbook_which_has_no_other(alarms, of_functions):
    headings = re.findall(r"^### (.+)$", OPERATE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    alarms = alarms | {name: one for name, one in of_functions.items() if name.startswith("single-")}
    for name, alarm in alarms.items():
        sentence, _, link = alarm["AlarmDescription"].partition(" What to do: docs/operate.md#")
        assert sentence.endswith("."), name
        assert link in anchors, name
    table = OPERATE.partition("\n## Alarms\n")[2].partition("\n### ")[0]
    listed = set(re.findall(r"`((?:…-)?[a-z-]+)`", "".join(re.findall(r"^\| `.*?\|", table, re.MULTILINE))))
    assert {re.sub(r"^(fast|slow-1|single)(?=-)", "…", name) for name in alarms} == listed


def test_alarms_are_of_their_runtime_and_published_when_raised_and_when_over(watched, alarms):
    assert str(alarms["slow-1-unread-queue"]["Dimensions"]).count("slow-1") == 1
    assert str(alarms["fast-failing-jobs"]["Metrics"]).count("{'Name': 'runtime', 'Value': 'fast'}") == 2
    [topic] = [name for name in watched.of_type("AWS::SNS::Topic") if name.startswith("Alarms")]
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [f"${{{topic}}}"]
    assert not example("everything").of_type("AWS::KMS::Key")  # the operator's replaces the topic's own
