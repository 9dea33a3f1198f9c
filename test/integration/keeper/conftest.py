"""A platform of one runtime in AWS, the keeper over it, and what a test asks of them."""

import json
import uuid
from functools import partial

import pytest

from contract.deadlines import DEFAULT_DEADLINES
from contract.queues import CODE_ATTRIBUTE, REASON_ATTRIBUTE
from jobs import commands
from jobs.notifier import JobNotifier
from jobs.store import JobStore
from keeper.exhausted import ExhaustedMessages
from keeper.reaper import Reaper
from keeper.republisher import TaskRepublisher
from test.kit.rig import Rig
from test.kit.wire import Wire

QUEUE_PREFIX = "sdoneksStack-"
SERVICES = ("dynamodb", "s3", "sns", "sqs")


@pytest.fixture(scope="session")
def watched(aws):
    """Clients for the code under test, and the wire that sees their calls."""
    clients, wire = {name: aws.client(name) for name in SERVICES}, Wire()
    for client in clients.values():
        client.meta.events.register("before-send", wire)
    clients["sqs"].meta.events.register("after-call.sqs.ReceiveMessage", wire.note_receipts)
    return clients, wire


class World(Rig):
    """A rig with the keeper in the test's own process, and a clock that the test sets."""

    def __init__(self, kit, watched, **options):
        super().__init__(kit, "sdwebui", **options)
        self.watched_clients, self.wire = watched
        self.start_keeper()

    def start_keeper(self):
        """Make the keeper as Lambda does, with nothing learned yet; calls are counted from here."""
        self.wire.clear()
        clients, clock = self.watched_clients, lambda: self.now_s
        jobs, sns = JobStore(clients["dynamodb"], self.store.table), clients["sns"]
        notifier = JobNotifier(sns=sns, topic_arn=self.notice_topic, jobs=jobs, bucket=self.bucket, clock=clock)
        tasks = TaskRepublisher(
            jobs=jobs,
            sns=sns,
            s3=clients["s3"],
            sqs=clients["sqs"],
            topic_arn=self.task_topic,
            bucket=self.bucket,
            queue_prefix="",
        )
        common = {"jobs": jobs, "notifier": notifier, "clock": clock}
        self.messages = ExhaustedMessages(sqs=clients["sqs"], queue_prefix=QUEUE_PREFIX, **common)
        self.reaper = Reaper(tasks=tasks, start_s=DEFAULT_DEADLINES.start_s, **common)

    def running(self, **metadata):
        task = self.queued(**metadata)
        self.claim(task)
        return task

    def release(self, task):
        """An agent releases a job, which another one must claim within ten minutes."""
        release = {"runtime": self.name, "attempts": 1, "is_blameless": True, "start_by_s": self.now_s + 600}
        self.update(commands.release(task.metadata.job, "token", **release))

    def renewal(self, task):
        """An agent's request that keeps a job for 50 s and leaves others an hour after that."""
        until_s = self.now_s + 50
        return commands.renew(
            task.metadata.job, "token", until_s=until_s, start_by_s=until_s + 3600, attempts=1, progress=None
        )

    def ended(self, state, error=None, *, told=False, **metadata):
        task = self.running(**metadata)
        job = task.metadata.job
        ending = {"attempts": 1, "pictures": () if error else ("png",), "error": error}
        self.update(commands.complete(job, "token", state, now_s=self.now_s, **ending))
        if told:
            self.update(commands.notified(job, self.now_s))
        return task

    # The queues

    def new_notices(self):
        """The notices since the last look."""
        new, self.received = self.listen(), []
        return new

    def kept(self):
        """Body, code and reason of each message in the dead queue."""
        return [
            (body, attributes[CODE_ATTRIBUTE], attributes[REASON_ATTRIBUTE]) for body, attributes in self.dead_letters()
        ]

    # The keeper

    def event(self, *bodies, queue_url=None):
        """Lambda's event for messages with these bodies."""
        return {
            "Records": [
                {
                    "messageId": str(uuid.uuid4()),
                    "body": body if isinstance(body, str) else body.to_message(),
                    "attributes": {"SentTimestamp": str(int(self.now_s * 1000)), "ApproximateReceiveCount": "1"},
                    "eventSourceARN": self.aws.queue_arn((queue_url or self.returned_queue).rpartition("/")[2]),
                }
                for body in bodies
            ]
        }

    def handle(self, *bodies):
        """Hand over messages; the numbers of those that failed."""
        event = self.event(*bodies)
        failures = {one["itemIdentifier"] for one in self.messages.handle(event)["batchItemFailures"]}
        return [number for number, record in enumerate(event["Records"]) if record["messageId"] in failures]

    def reap(self, *, after_s=0.0):
        """Run the reaper once, so much later; what it counted and is not zero."""
        self.now_s += after_s
        return {name: count for name, count in self.reaper.run().items() if count}


@pytest.fixture
def make_world(kit, watched):
    """Makes a world; options as of a rig."""
    return partial(World, kit, watched)


@pytest.fixture
def world(make_world):
    return make_world()


@pytest.fixture
def envelope():
    """A body as SNS delivers it."""
    head = {"Type": "Notification", "MessageId": "3ba4a0ae-8b5f-5b0a-9d1c-c0b0b0b0b0b0"}
    return lambda message: json.dumps({**head, "Timestamp": "2026-01-02T03:04:05.678Z", "Message": message})
