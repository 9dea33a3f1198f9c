"""The courier's process over AWS: notices by SNS and SQS, changes by the table's stream."""

import json
import threading
import uuid

import pytest

from contract.signatures import webhook_secret
from contract.webhooks import Webhook
from jobs import commands
from jobs.job import JobState
from jobs.notifier import JobNotifier
from local.aws import STREAM, WITH_WEBHOOK
from test.kit.jobs import JobsTable
from test.kit.processes import HTTP, ChildProcess, answers, free_port, wait_for
from test.kit.web import is_signed, posts_answered

ROOT = "root secret of the tests, long enough"


class Place(JobsTable):
    """A table, queues and topics of one's own, a receiver, and a courier's process over them."""

    def __init__(self, kit, url, received):
        name = f"process-{uuid.uuid4().hex[:8]}"
        super().__init__(kit.aws.dynamodb, name, **STREAM)
        self.aws, self.url, self.received = kit.aws, url, received
        self.dead_queue = self.aws.make_queue(f"{name}-courier-dead")
        # Short: what a killed courier had taken comes again soon.
        self.queue = self.aws.make_queue(f"{name}-courier", redrive_to=f"{name}-courier-dead", VisibilityTimeout="2")
        self.topic = self.aws.make_topic(f"{name}-notices", f"{name}-courier", FilterPolicy=WITH_WEBHOOK)
        self.notifier = JobNotifier(sns=self.aws.sns, topic_arn=self.topic, jobs=self.store, bucket="out")
        self.health = f"http://127.0.0.1:{(port := free_port())}/healthz"
        self.process = ChildProcess(
            "courier",
            log=kit.folder / f"{name}.log",
            endpoint=self.aws.url,
            JOBS_TABLE=self.store.table,
            OUTPUT_BUCKET="out",
            COURIER_QUEUE_URL=self.queue,
            COURIER_DEAD_QUEUE_URL=self.dead_queue,
            SIGNING_SECRET=ROOT,
            ALLOW_PRIVATE_ADDRESSES="true",
            HEALTH_PORT=str(port),
        )

    def until(self, condition):
        return wait_for(condition, lambda: f"log:\n{self.process.log}")

    def run_job(self, path="/", events=("started", "completed"), tenant="key-1"):
        task = self.queued(webhook=Webhook(url=f"{self.url}{path}", events=events), tenant=tenant)
        self.claim(task)
        end = {"now_s": self.now_s, "attempts": 1, "pictures": ("png",)}
        self.notifier.notify(self.update(commands.complete(task.metadata.job, "token", JobState.SUCCEEDED, **end)))
        return task.metadata.job

    def told(self, job, path="/"):
        """The events that the receiver got of a job, in any order; repeated ones once."""
        mine = {headers["webhook-id"] for at, headers, body in self.received if at == path and job in body.decode()}
        return sorted(one.removeprefix(f"{job}-").partition("-")[0] for one in mine)


@pytest.fixture
def place(kit):
    received, slow = [], threading.Event()

    def receive(path, headers, body):
        received.append((path, headers, body))
        if path == "/slow":
            slow.wait(60)
        return (200, {}, b"") if path != "/broken" or len(received) > 1 else (500, {}, b"")

    with posts_answered(receive) as url:
        place = Place(kit, url, received)
        place.process.start()
        yield place
        slow.set()
        place.process.kill()


def test_a_job_is_told_by_signed_webhooks_while_the_process_is_healthy(place):
    place.until(lambda: answers(place.health))
    job = place.run_job()
    place.until(lambda: place.told(job) == ["completed", "started"])
    for _, headers, body in place.received:
        assert is_signed(webhook_secret(ROOT, "key-1", 1), headers, body)
        assert json.loads(body)["data"]["job"] == job
    place.until(lambda: place.aws.depth(place.queue) == (0, 0))
    assert HTTP.get(place.health.replace("healthz", "")).status_code == 404


def test_more_messages_are_handled_than_at_the_same_time(place):
    for _ in range(7):
        entries = [{"Id": str(number), "MessageBody": '{"job": null}'} for number in range(10)]
        place.aws.sqs.send_message_batch(QueueUrl=place.queue, Entries=entries)
    place.until(lambda: place.aws.depth(place.queue) == (0, 0))
    job = place.run_job()
    place.until(lambda: place.told(job) == ["completed", "started"])


def test_a_failed_delivery_is_made_again_after_seconds(place):
    job = place.run_job("/broken", events=("completed",))
    place.until(lambda: len(place.received) == 2)
    first, second = place.received
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert place.told(job, "/broken") == ["completed"]


def test_a_tenants_slow_receiver_holds_up_no_other(place):
    for _ in range(3):
        place.run_job("/slow", events=("completed",), tenant="key-2")
        place.until(lambda: any(path == "/slow" for path, *_ in place.received))
    job = place.run_job("/quick")
    place.until(lambda: place.told(job, "/quick") == ["completed", "started"])


def test_what_happens_while_no_courier_runs_is_told_by_the_next_one(place):
    before = place.run_job()
    place.until(lambda: place.told(before) == ["completed", "started"])
    place.process.kill()
    jobs = [place.run_job() for _ in range(3)]
    place.process.start()
    place.until(lambda: all(place.told(job) == ["completed", "started"] for job in jobs))


def test_a_courier_that_is_killed_again_and_again_tells_every_job(place):
    jobs = []
    for _ in range(4):
        told = len(place.received)
        jobs += [place.run_job() for _ in range(3)]
        place.until(lambda told=told: len(place.received) > told)  # so it is in the middle of its work
        place.process.kill()
        place.process.start()
    place.until(lambda: all(place.told(job) == ["completed", "started"] for job in jobs))


def test_a_courier_that_is_asked_to_end_finishes_and_saves_where_it_was(place):
    job = place.run_job()
    place.until(lambda: place.told(job) == ["completed", "started"])
    assert place.process.terminate() == 0
    stream = place.aws.dynamodb.describe_table(TableName=place.store.table)["Table"]["LatestStreamArn"]
    found = place.aws.dynamodb.get_item(TableName=place.store.table, Key={"pk": {"S": f"stream/{stream}"}})
    assert json.loads(found["Item"]["positions"]["S"])


def test_a_message_that_nobody_can_read_holds_up_no_other(place):
    place.aws.sqs.send_message(QueueUrl=place.queue, MessageBody="no json")
    job = place.run_job()
    place.until(lambda: place.told(job) == ["completed", "started"])
    assert place.aws.depth(place.queue) != (0, 0)  # until it has been delivered too often
