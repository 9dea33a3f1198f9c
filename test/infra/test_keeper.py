"""The keeper's functions: what calls them, with what, and how long they may take."""

import re
from pathlib import Path

import pytest
from infrakit.stacks import config_of

from contract.queues import RETURNED

HANDLERS = Path("keeper/handlers.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def functions(stack):
    """The keeper's functions, by the name of their handler, and their logical ids likewise."""
    found = stack.properties("AWS::Lambda::Function").items()
    return {
        one["Handler"].removeprefix("keeper.handlers."): (name, one)
        for name, one in found
        if one["Handler"].startswith("keeper.")
    }


@pytest.fixture(scope="module")
def returned(functions):
    return functions["exhausted_handler"]


@pytest.fixture(scope="module")
def reaper(functions):
    return functions["reaper_handler"]


def test_the_functions_are_the_modules_handlers_with_the_environment_that_these_read(functions):
    assert set(functions) == {"exhausted_handler", "reaper_handler"}
    assert all(f"def {handler}(" in HANDLERS for handler in functions)
    read = set(re.findall(r'"([A-Z][A-Z_]+)"', HANDLERS))
    for _, function in functions.values():
        assert set(function["Environment"]["Variables"]) == read


def test_a_returned_queues_name_without_prefix_and_suffix_is_the_runtimes(stack, returned):
    prefix = returned[1]["Environment"]["Variables"]["QUEUE_PREFIX"]
    names = [one.get("QueueName", "") for one in stack.properties("AWS::SQS::Queue").values()]
    found = {name.removeprefix(prefix).removesuffix(RETURNED.suffix) for name in names if name.endswith("-returned")}
    assert found == {runtime.name for runtime in config_of().models_runtime}


def test_the_reaper_waits_as_long_as_the_configuration_says(reaper):
    assert reaper[1]["Environment"]["Variables"]["START_TIMEOUT_S"] == "86400"


def test_every_returned_queue_is_read_and_messages_that_failed_are_delivered_again(stack, returned):
    mappings = stack.properties("AWS::Lambda::EventSourceMapping").values()
    read = {one["EventSourceArn"]["Fn::GetAtt"][0] for one in mappings}
    assert read == {name for name in stack.of_type("AWS::SQS::Queue") if name.startswith("ReturnedQueue")}
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["FunctionName"] == {"Ref": returned[0]}


def test_no_message_is_delivered_again_while_the_handler_may_still_work_on_it(stack, returned):
    queues = stack.properties("AWS::SQS::Queue").items()
    shortest = min(one["VisibilityTimeout"] for name, one in queues if name.startswith("ReturnedQueue"))
    assert shortest >= 6 * returned[1]["Timeout"]


def test_the_reaper_runs_once_a_minute_ends_within_it_and_a_run_that_fails_is_not_repeated(stack, reaper):
    _, rule = stack.only("AWS::Events::Rule", ScheduleExpression="rate(1 minute)")
    [target] = rule["Targets"]
    assert (rule["State"], target["Arn"]["Fn::GetAtt"][0]) == ("ENABLED", reaper[0])
    assert reaper[1]["Timeout"] <= 60
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}
    _, invocations = stack.only("AWS::Lambda::EventInvokeConfig", FunctionName={"Ref": reaper[0]})
    assert invocations["MaximumRetryAttempts"] == 0


def test_no_concurrency_is_reserved_which_new_accounts_do_not_have(stack):
    assert not any("ReservedConcurrentExecutions" in one for one in stack.properties("AWS::Lambda::Function").values())


def test_our_functions_run_on_arm_and_are_traced(stack):
    ours = [one for one in stack.properties("AWS::Lambda::Function").values() if "python3.14" in one["Runtime"]]
    assert len(ours) == 5  # the door, the keeper's two, and those that wait for nodes at removal
    for function in ours:
        assert (function["Architectures"], function["TracingConfig"]) == (["arm64"], {"Mode": "Active"})
