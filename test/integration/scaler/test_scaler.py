"""The scaler as a process: it reads real queues and a real table, and says how many pods there should be."""

import contextlib
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.beacon import Beacon, announce
from test.kit.actions import aws_error, hang, name_aws_call
from test.kit.jobs import JobsTable
from test.kit.processes import HTTP, ChildProcess, answers, free_port, wait_for
from test.kit.proxy import FaultProxy

CONNECTIONS = 10
"""As many does botocore have at a time, unless it is told otherwise."""
TRIES = 2
SETTINGS = {"min": 0, "max": 20, "targetWaitSeconds": 60, "secondsPerJob": 5}


class Asked:
    """A scaler, and a runtime with three queues that it knows; its calls to AWS are counted."""

    def __init__(self, kit):
        self.kit = kit
        self.name = f"drawings-{uuid.uuid4().hex[:8]}"
        self.sqs = kit.aws.sqs
        self.queues = [kit.aws.make_queue(f"{self.name}{end}") for end in ("", "-high", "-low")]
        self.table = JobsTable(kit.aws.dynamodb, self.name)
        self.aws = FaultProxy(kit.network, kit.aws.url, name_aws_call)
        self.gone = f"{self.name}-gone"
        many = self.queues * CONNECTIONS
        queues = {self.name: self.queues, "gone": [kit.aws.queue_url(self.gone)], "many": many}
        port = free_port()
        self.host = f"http://127.0.0.1:{port}"
        environment = {"QUEUES": json.dumps(queues), "JOBS_TABLE": self.table.store.table, "PORT": str(port)}
        self.process = self.child(**environment)
        self.process.start()
        wait_for(lambda: answers(f"{self.host}/health"), lambda: f"the scaler; log:\n{self.process.log}")

    def child(self, **environment):
        log = self.kit.folder / f"scaler-{uuid.uuid4().hex[:8]}.log"
        return ChildProcess("scaler", log=log, endpoint=self.aws.url, **environment)

    def ask(self, name=None, **settings):
        return HTTP.get(f"{self.host}/runtimes/{name or self.name}", params={**SETTINGS, **settings})

    def send(self, queue, count):
        for _ in range(count):
            self.sqs.send_message(QueueUrl=queue, MessageBody="secret words")

    def report(self, owner, *, seconds, devices=1, ago_s=0):
        beacon = Beacon(
            owner=owner, ready=True, devices=devices, running=devices, seconds=seconds, seen_s=time.time() - ago_s
        )
        self.table.store.run(announce(self.name, beacon))


@pytest.fixture
def asked(kit):
    asked = Asked(kit)
    with contextlib.closing(asked.aws):
        yield asked
        asked.process.kill()


def test_it_reads_nothing_until_it_is_asked_and_then_each_queue_and_the_reports_once_for_all_who_ask(asked):
    assert answers(f"{asked.host}/health")
    assert asked.aws.came == []
    with ThreadPoolExecutor(4) as pool:
        found = [one.json() for one in pool.map(lambda _: asked.ask(), range(4))]
    assert found == [found[0]] * 4
    assert sorted(call.name for call in asked.aws.came) == ["dynamodb:Query", *["sqs:GetQueueAttributes"] * 3]


def test_what_waits_in_all_queues_counts_and_takes_as_long_as_agents_report(asked):
    for queue, count in zip(asked.queues, (60, 3, 7), strict=True):
        asked.send(queue, count)
    taken = asked.sqs.receive_message(QueueUrl=asked.queues[0], MaxNumberOfMessages=4)["Messages"]
    asked.report("a", seconds=30.0, devices=2)
    asked.report("b", seconds=30.0, devices=2)
    found = asked.ask().json()
    assert len(taken) == found["running"] == 4
    assert (found["waiting_s"], found["job_s"], found["ready"], found["devices"]) == (66 * 30, 30, 2, 2)
    assert found["pods"] > 2
    assert asked.ask(max=3).json()["pods"] == 3
    assert asked.ask(min=20).json()["pods"] == 20


def test_a_job_takes_what_the_settings_say_until_an_agent_knows(asked):
    asked.send(asked.queues[0], 10)
    assert asked.ask(secondsPerJob=0.5).json()["waiting_s"] == 5
    assert asked.ask(secondsPerJob=600).json()["waiting_s"] == 6000


def test_after_a_night_a_job_takes_what_it_took_yesterday(asked):
    asked.send(asked.queues[0], 10)
    asked.report("gone", seconds=42.0, ago_s=20 * 3600)
    asked.report("forgotten", seconds=7.0, ago_s=25 * 3600)
    found = asked.ask().json()
    assert (found["job_s"], found["waiting_s"], found["ready"]) == (42, 420, 0)


def test_nothing_to_do_calls_for_no_pod(asked):
    assert asked.ask().json()["pods"] == 0


def test_what_cannot_be_read_is_said_and_read_again_with_the_next_question(asked):
    answer = asked.ask("gone")
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "sqs:GetQueueAttributes failed: AWS.SimpleQueueService.NonExistentQueue",
    )
    asked.kit.aws.make_queue(asked.gone)
    assert asked.ask("gone").json()["pods"] == 0
    asked.aws.rule("dynamodb:Query", aws_error(400, "AccessDeniedException"))
    answer = asked.ask()
    assert (answer.status_code, answer.json()["error"]) == (503, "dynamodb:Query failed: AccessDeniedException")
    asked.aws.lift()
    assert asked.ask().json()["pods"] == 0
    assert "gone can be read again" in asked.process.log


def test_an_aws_that_does_not_answer_holds_no_question_up_for_longer_than_keda_waits(asked):
    asked.aws.rule("sqs:*", hang())
    with ThreadPoolExecutor(4) as pool:
        assert {one.status_code for one in pool.map(lambda _: asked.ask(), range(4))} == {503}
    assert len(asked.aws.came) <= TRIES * len(asked.queues) + 1, "each of them had a reading of its own"
    asked.aws.lift()
    assert asked.ask().status_code == 200


def test_no_runtime_waits_for_queues_of_others_that_do_not_answer(asked):
    under_way = []
    never = hang()

    async def count(exchange):
        under_way.append(asked.aws.under_way)
        return await never(exchange)

    asked.aws.rule("sqs:*", count)
    assert asked.ask("many").status_code == 503
    assert max(map(len, under_way)) >= CONNECTIONS + 2


@pytest.mark.parametrize(
    ("name", "settings", "status", "words"),
    [
        ("other", {}, 404, "There is no such runtime"),
        ("..%2fhealth", {}, 404, "There is no such runtime"),
        (None, {"max": 0}, 400, "max: must be at least 1"),
        (None, {"max": 2, "min": 3}, 400, "min must not be above max"),
        (None, {"secondsPerJob": "inf"}, 400, "secondsPerJob"),
        (None, {"targetWaitSeconds": "soon"}, 400, "targetWaitSeconds"),
        (None, {"queue": "https://sqs/other"}, 400, "queue"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_a_reason_and_reads_nothing(
    refusing, *, name, settings, status, words
):
    answer = refusing.ask(name, **settings)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert refusing.aws.came == []


@pytest.fixture(scope="module")
def refusing(kit):
    asked = Asked(kit)
    with contextlib.closing(asked.aws):
        yield asked
        asked.process.kill()


def test_it_logs_each_change_and_no_more_and_ends_in_order(asked):
    asked.send(asked.queues[0], 2)
    for _ in range(3):
        asked.ask()
    assert asked.process.terminate() == 0
    assert asked.process.log.count(f"{asked.name}: wants 1, for 10 s of waiting work") == 1
    for secret in ("secret words", "local", "AWS_SECRET"):
        assert secret not in asked.process.log
    assert {call.name for call in asked.aws.came} == {"sqs:GetQueueAttributes", "dynamodb:Query"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"JOBS_TABLE": "jobs"}, "QUEUES: is required"),
        ({"JOBS_TABLE": "jobs", "QUEUES": "{"}, "QUEUES: is no JSON"),
        ({"JOBS_TABLE": "jobs", "QUEUES": '{"a": []}'}, "QUEUES"),
        ({"QUEUES": "{}"}, "JOBS_TABLE: is required"),
    ],
)
def test_wrong_settings_end_it_with_their_names(refusing, environment, words):
    child = refusing.child(**environment)
    child.start()
    assert child.wait() == 2
    assert words in child.log
