"""A platform of one runtime in AWS, the keeper over it, and what a test asks of them."""

import contextlib
import json
import time
import uuid

import pytest

from contract.deadlines import DEFAULT_DEADLINES
from contract.ids import new_job_id
from contract.objects import content_key
from contract.queues import CODE_ATTRIBUTE, REASON_ATTRIBUTE
from contract.task import Task
from jobs import commands
from jobs.job import Claim
from jobs.store import JobStore
from keeper.exhausted import ExhaustedMessages
from keeper.notifier import JobNotifier
from keeper.reaper import Reaper
from keeper.republisher import TaskRepublisher
from test.kit.rig import Rig
from test.kit.wire import Wire

LEASE_S = 85
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

    def __init__(self, kit, watched):
        super().__init__(kit, "sdwebui")
        self.now_s = time.time()
        self.use(*watched)

    def use(self, clients, wire):
        self.wire = wire
        wire.clear()
        jobs, clock = JobStore(clients["dynamodb"], self.store.table), lambda: self.now_s
        sns, sqs, s3 = clients["sns"], clients["sqs"], clients["s3"]
        notifier = JobNotifier(sns=sns, topic_arn=self.notice_topic, jobs=jobs, bucket=self.bucket, clock=clock)
        tasks = TaskRepublisher(sns=sns, s3=s3, topic_arn=self.task_topic, bucket=self.bucket)
        self.watched_clients = clients
        self.messages = ExhaustedMessages(jobs=jobs, notifier=notifier, sqs=sqs, queue_prefix=QUEUE_PREFIX, clock=clock)
        start_s = DEFAULT_DEADLINES.start_s
        self.reaper = Reaper(jobs=jobs, notifier=notifier, tasks=tasks, start_s=start_s, clock=clock)

    @contextlib.contextmanager
    def pages_of(self, entries):
        """Cut the answers to queries: those of the index's small entries would hold thousands."""

        def cut(params, **_):
            return {**params, "Limit": entries}

        events = self.watched_clients["dynamodb"].meta.events
        events.register("provide-client-params.dynamodb.Query", cut)
        yield
        events.unregister("provide-client-params.dynamodb.Query", cut)

    # The table

    def task(self, **metadata):
        metadata = {"id": "a", "runtime": self.name, "tasktype": "text-to-image", "job": new_job_id(), **metadata}
        return Task.model_validate({"metadata": metadata, "content": {"prompt": "secret words"}})

    def accepted(self, *, start_s=3600, **metadata):
        task = self.task(**metadata)
        self.update(commands.accept(task, self.now_s, start_by_s=self.now_s + start_s))
        return task

    def forget_start_by(self, task):
        """Make a job's item one that an earlier version wrote."""
        self.aws.dynamodb.update_item(
            TableName=self.store.table, Key={"pk": {"S": task.metadata.job}}, UpdateExpression="REMOVE start_by"
        )

    def queued(self, *, start_s=3600, **metadata):
        task = self.accepted(start_s=start_s, **metadata)
        self.update(commands.published(task.metadata.job, self.now_s + 1))
        return task

    def claim(self, task, token="token"):
        """An agent claims a task's job."""
        lease = {"owner": "pod", "token": token, "now_s": self.now_s, "lease_s": LEASE_S, "start_s": 3600}
        claim = self.store.run(commands.claim(task, task.metadata.job, runtime=self.name, **lease))
        assert isinstance(claim, Claim)

    def running(self, **metadata):
        task = self.queued(**metadata)
        self.claim(task)
        return task

    def release(self, task):
        """An agent releases a job, which another one must claim within ten minutes."""
        release = {"attempts": 1, "is_blameless": True, "start_by_s": self.now_s + 600}
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

    def record(self, job):
        return super().record(job.metadata.job if isinstance(job, Task) else job)

    # The bucket and the queues

    def lay_content(self, task):
        self.upload(content_key(task.metadata.job), b'{"prompt":"long"}')

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
def world(kit, watched):
    return World(kit, watched)


@pytest.fixture
def envelope():
    """A body as SNS delivers it."""

    def wrap(message):
        return json.dumps(
            {
                "Type": "Notification",
                "MessageId": "3ba4a0ae-8b5f-5b0a-9d1c-c0b0b0b0b0b0",
                "Timestamp": "2026-01-02T03:04:05.678Z",
                "Message": message,
            }
        )

    return wrap
