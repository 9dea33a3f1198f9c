import ast
import re
from pathlib import Path

import pytest
from infrakit.platform import config_of

from contract.queues import RETURNED

CONFIG = config_of()
HANDLERS = Path("keeper/handlers.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def functions(platform_template):
    """The keeper's functions, by the name of their handler."""
    found = resources(platform_template, "AWS::Lambda::Function").values()
    return {
        one["Handler"].removeprefix("keeper.handlers."): one for one in found if one["Handler"].startswith("keeper.")
    }


def resources(template, kind):
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == kind}


def id_of(template, handler):
    [found] = [
        name
        for name, one in resources(template, "AWS::Lambda::Function").items()
        if one["Handler"] == f"keeper.handlers.{handler}"
    ]
    return found


def test_both_handlers_are_there(functions):
    defined = {node.name for node in ast.parse(HANDLERS).body if isinstance(node, ast.FunctionDef)}
    assert set(functions) == {"returned_handler", "reaper_handler"}
    assert set(functions) <= defined


def test_each_function_has_the_environment_that_its_handler_reads_and_no_more(functions):
    read = set(re.findall(r'os\.environ(?:\[|\.get\()"(\w+)"', HANDLERS))
    for function in functions.values():
        assert set(function["Environment"]["Variables"]) == read


def test_a_returned_queues_name_without_the_prefix_and_the_suffix_is_the_runtimes(platform_template, functions):
    prefix = functions["returned_handler"]["Environment"]["Variables"]["QUEUE_PREFIX"]
    names = [one["QueueName"] for one in resources(platform_template, "AWS::SQS::Queue").values()]
    returned = [name for name in names if name.endswith(RETURNED.suffix)]
    runtimes = {name.removeprefix(prefix).removesuffix(RETURNED.suffix) for name in returned}
    assert runtimes == {runtime.name for runtime in CONFIG.models_runtime}


def test_the_reaper_waits_as_long_as_the_configuration_says(functions):
    assert functions["reaper_handler"]["Environment"]["Variables"]["START_TIMEOUT_S"] == "86400"


def test_every_returned_queue_is_read_and_messages_that_failed_are_delivered_again(platform_template):
    mappings = resources(platform_template, "AWS::Lambda::EventSourceMapping").values()
    read = {one["EventSourceArn"]["Fn::GetAtt"][0] for one in mappings}
    queues = resources(platform_template, "AWS::SQS::Queue")
    assert read == {name for name in queues if name.startswith("ReturnedQueue")}
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["FunctionName"] == {"Ref": id_of(platform_template, "returned_handler")}


def test_no_message_is_delivered_again_while_the_handler_may_still_work_on_it(platform_template, functions):
    queues = resources(platform_template, "AWS::SQS::Queue")
    shortest = min(one["VisibilityTimeout"] for name, one in queues.items() if name.startswith("ReturnedQueue"))
    assert shortest >= 6 * functions["returned_handler"]["Timeout"]


def test_the_reaper_runs_once_a_minute_and_ends_within_it(platform_template, functions):
    [rule] = resources(platform_template, "AWS::Events::Rule").values()
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    reaper = id_of(platform_template, "reaper_handler")
    assert [target["Arn"]["Fn::GetAtt"][0] for target in rule["Targets"]] == [reaper]
    assert functions["reaper_handler"]["Timeout"] <= 60


def test_a_run_of_the_reaper_that_fails_is_not_repeated(platform_template):
    [invocations] = resources(platform_template, "AWS::Lambda::EventInvokeConfig").values()
    [rule] = resources(platform_template, "AWS::Events::Rule").values()
    assert invocations["FunctionName"] == {"Ref": id_of(platform_template, "reaper_handler")}
    assert invocations["MaximumRetryAttempts"] == 0
    assert rule["Targets"][0]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}


def test_no_concurrency_is_reserved_which_new_accounts_do_not_have(functions):
    assert not [one for one in functions.values() if "ReservedConcurrentExecutions" in one]


def test_functions_run_on_arm_are_traced_and_log_into_groups_that_forget(platform_template):
    groups = resources(platform_template, "AWS::Logs::LogGroup")
    for function in resources(platform_template, "AWS::Lambda::Function").values():
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert groups[function["LoggingConfig"]["LogGroup"]["Ref"]]["RetentionInDays"] == 30
