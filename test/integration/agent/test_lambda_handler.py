"""The agent as a function of Lambda: real messages, real AWS calls; an event source of the test's own calls it."""

import json
import signal
import subprocess
import sys
from functools import partial

import pytest

from contract.ids import new_job_id
from contract.queues import Priority
from jobs.job import JobState
from local.sandbox import sandboxed
from test.kit.actions import FINISH, NOTIFIED, aws_error, cut, name_aws_call
from test.kit.proxy import FaultProxy
from test.toy.standin import PNG

pytestmark = pytest.mark.usefixtures("toys")

LEASE_S = 6
RESERVED_S = 30
"""A function's last seconds, in which its jobs must end."""


class Function:
    """The function of a rig, called with messages of its queues; it reaches AWS through a proxy."""

    def __init__(self, rig, **options):
        self.aws = FaultProxy(rig.kit.network, rig.aws.url, name_aws_call)
        urls = [url.replace(rig.aws.url, self.aws.url) for url in rig.queues.values()]
        source = {"urls": urls, "lease_s": LEASE_S, **options}
        environment = {**rig.agent_environment(self.aws.url), "MODEL_OPTIONS": "{}", "EVENT_SOURCE": json.dumps(source)}
        environment |= {"METRICS_NAMESPACE": "cloud"}
        arguments = ("test.toy", "test.kit.event_source")
        self.process = rig.add_child(*arguments, endpoint=self.aws.url, **environment)


@pytest.fixture
def rig(kit, request):
    with kit.rig("toy-managed", priorities=getattr(request, "param", False)) as rig:
        yield rig


@pytest.fixture
def start(rig):
    """Starts a function."""
    functions = []

    def start(**options):
        functions.append(Function(rig, **options))
        functions[-1].process.start()
        return functions[-1]

    yield start
    for function in functions:
        function.process.kill()
        function.aws.close()


def submit(rig, word="dog", **content):
    """Send a task with a job of its own; return both ids."""
    job = new_job_id()
    return rig.submit({"word": word, **content}, "draw", job=job), job


def test_a_throttled_job_comes_back_later_at_no_cost_and_then_ends_in_a_picture(rig, start):
    start()
    task_id, job = submit(rig, early=True)
    (picture,) = rig.notice(task_id)["image_url"]
    assert rig.read(picture) == PNG
    rig.until(rig.is_empty)
    record = rig.record(job)
    assert (record.state, record.attempts, record.claims, record.releases) == (JobState.SUCCEEDED, 1, 2, 1)


def test_each_delivery_of_a_job_leaves_a_line_of_metrics_in_the_functions_log_and_not_its_prompt(rig, start):
    function = start()
    rig.notice(submit(rig, early=True)[0])
    rig.notice(submit(rig, "")[0])
    rig.until(rig.is_empty)

    def told():
        return [json.loads(line) for line in function.process.log.splitlines() if line.startswith('{"_aws":')]

    lines = rig.until(lambda: len(told()) > 2 and told())  # a message is deleted before its line is written
    assert [[line.get(name) for name in ("outcome", "error.type")] for line in lines] == [
        [None, "throttled"],
        ["succeeded", None],
        ["failed", "rejected"],
    ]
    assert [[name for name in line if name.startswith("queue_agent.")] for line in lines] == [
        ["queue_agent.queue.age", "queue_agent.retries"],
        ["queue_agent.stage.duration", "queue_agent.jobs"],
        ["queue_agent.queue.age", "queue_agent.jobs"],
    ]
    assert "dog" not in json.dumps(lines)


def test_a_function_tells_once_a_minute_that_it_takes_jobs(rig, start):
    start()
    rig.notice(submit(rig)[0])
    rig.until(rig.is_empty)
    (beacon,) = rig.store.beacons(rig.name, rig.now_s)
    assert (beacon.ready, beacon.devices, beacon.running) == (True, 1, 1)


def test_what_the_service_rejects_fails_in_its_words_and_is_not_delivered_again(rig, start):
    start()
    notice = rig.notice(submit(rig, "")[0])
    assert (notice["status"], notice["error"]["message"]) == ("failed", "The word is empty.")
    rig.until(rig.is_empty)
    assert rig.dead_letters() == []


def test_a_job_that_would_outlive_the_function_is_released_before_that_and_has_cost_no_attempt(rig, start):
    start(timeout_s=RESERVED_S + 1)
    _, job = submit(rig, seconds=3600)
    record = rig.until(lambda: (record := rig.record(job)) and record.releases and record)
    assert record.attempts == 0


def test_a_message_is_hidden_no_longer_than_a_lease_although_the_function_may_run_for_long(rig, start):
    function = start(timeout_s=900)
    _, job = submit(rig, seconds=3600)
    rig.until(lambda: (record := rig.record(job)) and record.state is JobState.RUNNING)
    function.process.kill()
    # Nothing else makes the message visible again.
    rig.until(lambda: rig.depth() == (1, 0))


@pytest.mark.parametrize(
    ("call", "path", "after"),
    [
        ("dynamodb:UpdateItem", FINISH, False),
        ("dynamodb:UpdateItem", FINISH, True),
        ("sns:Publish", "*", True),
        ("dynamodb:UpdateItem", NOTIFIED, True),
        ("sqs:DeleteMessage", "*", False),
    ],
)
def test_a_function_that_dies_between_store_and_ack_has_drawn_its_job_once_and_another_ends_it(
    rig, start, call, path, after
):
    function = start()
    kill = cut(partial(function.process.send, signal.SIGKILL), after_forwarding=after)
    function.aws.rule(call, kill, path=path, times=1)
    task_id, job = submit(rig)
    rig.until(lambda: not function.process.is_alive)
    start()
    rig.notice(task_id)
    rig.until(rig.is_empty)
    record = rig.record(job)
    assert (record.state, record.notified) == (JobState.SUCCEEDED, True)
    log = function.process.log
    assert "found done" in log or "found ended" in log


def test_a_message_of_a_job_that_has_ended_is_acked_and_nobody_is_notified_again(rig, start):
    function = start()
    task_id, job = submit(rig)
    rig.notice(task_id)
    rig.submit({"word": "dog"}, "draw", id=task_id, job=job)
    rig.until(lambda: "found ended" in function.process.log)
    rig.until(rig.is_empty)
    rig.listen()
    assert len(rig.notices(task_id)) == 1


def test_a_message_whose_deletion_fails_is_reported_to_lambda_which_would_delete_it_otherwise(rig, start):
    function = start()
    function.aws.rule("sqs:DeleteMessage", aws_error(400, "ReceiptHandleIsInvalid"), times=1)
    rig.notice(submit(rig)[0])
    rig.until(lambda: "1 messages, 1 failed" in function.process.log)
    rig.until(rig.is_empty)


def test_an_unreadable_message_goes_to_the_dead_queue(rig, start):
    start()
    rig.send("no task")
    rig.until(rig.is_empty)
    ((body, attributes),) = rig.dead_letters()
    assert (body, attributes["code"]) == ("no task", "unreadable_message")


def test_of_several_messages_in_one_call_only_those_that_are_not_done_stay_in_the_queue(rig, start):
    tasks = [submit(rig, early=number == 2)[0] for number in range(4)]
    function = start(batch_size=10)
    rig.wait_until_all_are_notified(tasks)
    assert "4 messages, 1 failed" in function.process.log


@pytest.mark.parametrize("rig", [True], indirect=True, ids=["priorities"])
def test_messages_of_each_priority_are_handled_in_their_own_queues(rig, start):
    start()
    rig.wait_until_all_are_notified(
        [rig.submit({"word": "dog"}, "draw", priority=priority.value) for priority in Priority]
    )


def test_the_function_loads_nothing_that_serves_a_cluster_a_collector_or_a_model_server(rig):
    environment = {**rig.agent_environment(rig.aws.url), "MODEL_OPTIONS": "{}", "JOBS_TABLE": rig.store.table}
    program = """
import sys
from runtimes.registry import RUNTIME_TYPES
from test.toy import managed
RUNTIME_TYPES["toy-managed"] = managed.SPEC
import queue_agent.lambda_handler
print(*sys.modules)
"""
    environment |= sandboxed({}, rig.aws.url)
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    needless = {"opentelemetry", "prometheus_client", "websockets", "boto3", "queue_agent.kubernetes"}
    assert not needless & set(ran.stdout.split())
