"""A jobs table with its stream, a receiver, a courier in the test's own process, and a clock that the test sets."""

import json
import uuid
from dataclasses import dataclass
from operator import itemgetter

import pytest

from contract.queues import REASON_ATTRIBUTE
from contract.webhooks import Webhook
from courier.batches import handle_changes
from courier.courier import Courier
from courier.delivery import Delivery
from courier.operations import WebhookOperations
from courier.queue import MAX_DELAY_S, DeliveryQueue
from courier.secrets import WebhookSecrets
from courier.sender import WebhookSender
from courier.stream import TableStream
from jobs import commands
from jobs.job import JobState, Progress
from local.aws import STREAM
from test.kit.jobs import JobsTable
from test.kit.web import posts_answered

ROOT_SECRET = "root secret of the tests, long enough"


@dataclass(frozen=True)
class Received:
    """A webhook as its receiver got it, and when."""

    path: str
    headers: dict
    body: bytes
    at_s: float

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]


class TimedSqs:
    """Stands for SQS: messages come out after their delay, by the test's clock."""

    def __init__(self, clock):
        self.clock = clock
        self.waiting = []
        """When each message comes out, and its body."""
        self.dead = []
        self.groups = []

    def send_message_batch(self, **request):
        for entry in request["Entries"]:
            assert 0 <= entry["DelaySeconds"] <= MAX_DELAY_S
            self.waiting.append((self.clock() + entry["DelaySeconds"], entry["MessageBody"]))
            self.groups.append(entry.get("MessageGroupId"))
        return {}

    def send_message(self, **request):
        assert request["QueueUrl"] == "dead"
        reason = request["MessageAttributes"][REASON_ATTRIBUTE]["StringValue"]
        self.dead.append((Delivery.model_validate_json(request["MessageBody"]), reason))


class World(JobsTable):
    """``answer`` is what the receiver answers, a status or an answer of test.kit.web; ``received`` is all it got."""

    def __init__(self, aws, url):
        super().__init__(aws.dynamodb, f"courier-{uuid.uuid4().hex[:8]}", **STREAM)
        self.aws = aws
        self.url = url
        self.answer = 200
        self.received = []
        self.sqs = TimedSqs(self.clock)
        self.queue = DeliveryQueue(sqs=self.sqs, url="queue", dead_url="dead")
        self.secrets = WebhookSecrets(jobs=self.store, root=ROOT_SECRET)
        self.operations = WebhookOperations(jobs=self.store, secrets=self.secrets, queue=self.queue, clock=self.clock)
        self.courier = self.new_courier(allow_private=True)
        self.stream = self.new_stream()

    def clock(self):
        return self.now_s

    def receive(self, path, headers, body):
        self.received.append(Received(path, headers, body, self.now_s))
        answer = self.answer(self.received[-1]) if callable(self.answer) else self.answer
        return (answer, {}, b"") if isinstance(answer, int) else answer

    def new_courier(self, *, allow_private):
        places = {
            "jobs": self.store,
            "secrets": self.secrets,
            "queue": self.queue,
            "bucket": "out",
            "root": ROOT_SECRET,
        }
        return Courier(**places, sender=WebhookSender(allow_private=allow_private), clock=self.clock)

    def new_stream(self):
        """A reader of the table's stream, as a new process has it."""
        streams = self.aws.client("dynamodbstreams")
        return TableStream(dynamodb=self.aws.dynamodb, streams=streams, table=self.store.table)

    # Jobs

    def running(self, *events, path="/", **metadata):
        """The task of a job that runs, with a webhook for these events, or for the end if none is given."""
        webhook = Webhook(url=f"{self.url}{path}", **({"events": events} if events else {}))
        task = self.queued(webhook=webhook, **{"tenant": "key-1", **metadata})
        self.claim(task)
        return task

    def progress(self, task, fraction):
        renewal = {"until_s": self.now_s + 85, "start_by_s": self.now_s + 3600, "attempts": 1}
        shown = Progress(fraction=fraction, step=int(fraction * 20), steps=20, stage="sampling")
        self.update(commands.renew(task.metadata.job, "token", **renewal, progress=shown))

    def end(self, task, *, error=None, outputs=()):
        ending = {"attempts": 1, "pictures": () if error else ("png",), "error": error, "outputs": outputs}
        state = JobState.FAILED if error else JobState.SUCCEEDED
        return self.update(commands.complete(task.metadata.job, "token", state, now_s=self.now_s, **ending))

    def ended(self, *events, **more):
        """A job that has ended, and whose notice is in the queue; returns its id."""
        job = self.end(self.running(*events, **more))
        self.notify(job)
        return job.id

    def notify(self, job):
        self.sqs.waiting.append((self.now_s, job.notice("out").to_message()))

    # The courier

    def pass_time(self, seconds=0):
        """Let the courier handle all that comes out of its queue within so many seconds."""
        end_s = self.now_s + seconds
        while (message := min(self.sqs.waiting, default=(end_s + 1, ""), key=itemgetter(0)))[0] <= end_s:
            self.sqs.waiting.remove(message)
            self.now_s, body = message
            self.courier.handle(body)
        self.now_s = end_s

    def read_stream(self):
        """Put what the stream tells into the queue; by the test's clock, all of it happened now."""

        def handle(records):
            now = {"ApproximateCreationDateTime": self.now_s}
            records = [{**record, "dynamodb": {**record["dynamodb"], **now}} for record in records]
            assert handle_changes(self.queue, {"Records": records}, self.now_s) == {"batchItemFailures": []}

        while self.stream.poll(handle):
            pass

    def log(self, job):
        """Event, attempt and state of each of a job's deliveries."""
        rows = self.operations.deliveries(job)
        return [(row.delivery.event, row.delivery.attempt, row.state) for row in rows]


@pytest.fixture
def world(aws):
    worlds = []

    def receive(path, headers, body):
        return worlds[0].receive(path, headers, body)

    with posts_answered(receive) as url:
        worlds.append(World(aws, url))
        yield worlds[0]
