import contextlib
import json
import logging
import time
import uuid

import boto3
import pytest
from moto.server import ThreadedMotoServer

from contract.dead_letter import CODE_ATTRIBUTE, REASON_ATTRIBUTE
from contract.deadlines import DEFAULT_DEADLINES
from contract.job import new_job_id
from contract.objects import content_key
from contract.task import Task
from jobs.record import JobRecord
from jobs.requests import JobsTable
from jobs.schema import DEFINITION
from keeper.dead_queues import DeadQueues
from keeper.jobs import Jobs
from keeper.notices import Notices
from keeper.reaper import Reaper
from keeper.returned import ReturnedMessages
from keeper.task_topic import TaskTopic

LEASE_S = 85
ACCOUNT = "123456789012"
SERVICES = ("dynamodb", "s3", "sns", "sqs")


class Crash(BaseException):
    """The process dies."""


class Wire:
    """Sees every AWS call of the code under test just before it is made."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.calls = []
        self.actions = {}
        self.meetings = {}

    def at(self, call, action):
        """Do something before a call, named by its number from 1 or by its operation (the first of that name)."""
        self.actions[call] = action

    def meet(self, operation, barrier):
        """Let as many calls of an operation as the barrier holds wait for each other."""
        self.meetings[operation] = [barrier] * barrier.parties

    def crash_at(self, number):
        def crash():
            raise Crash

        self.at(number, crash)

    def __call__(self, model, **kwargs):
        self.calls.append(model.name)
        if waiting := self.meetings.get(model.name):
            waiting.pop().wait()
        for call in (len(self.calls), model.name):
            if call in self.actions:
                self.actions.pop(call)()


@pytest.fixture(scope="session")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def make_clients(endpoint):
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    return lambda: {name: session.client(name, endpoint_url=endpoint) for name in SERVICES}


@pytest.fixture(scope="session")
def own_clients(make_clients):
    return make_clients()


@pytest.fixture(scope="session")
def watched(make_clients):
    """Clients for the code under test, and the wire that sees their calls."""
    clients, wire = make_clients(), Wire()
    for client in clients.values():
        client.meta.events.register("before-call", wire)
    return clients, wire


QUEUE_PREFIX = "sdoneksStack-"


class World:
    """A platform of one runtime in AWS, the keeper over it, and what a test asks of them."""

    def __init__(self, clients, watched):
        self.now_s = time.time()
        self.name = f"r{uuid.uuid4().hex[:8]}"
        self.bucket = f"{self.name}-output"
        self.table = JobsTable(f"{self.name}-jobs")
        self.aws = clients
        clients["dynamodb"].create_table(TableName=self.table.name, **DEFINITION)
        clients["s3"].create_bucket(Bucket=self.bucket)
        self.dead = self.make_queue("dead")
        self.returned = self.make_queue("returned", target=f"{self.name}-dead")
        self.queue = self.make_queue("", target=f"{self.name}-returned")
        self.heard = self.make_queue("heard")
        self.task_topic = self.make_topic("tasks", self.queue)
        self.notice_topic = self.make_topic("notices", self.heard)
        self.use(*watched)

    def use(self, clients, wire):
        self.wire = wire
        wire.clear()
        jobs = Jobs(clients["dynamodb"], self.table.name, lambda: self.now_s)
        notices = Notices(sns=clients["sns"], topic_arn=self.notice_topic, jobs=jobs, bucket=self.bucket)
        tasks = TaskTopic(sns=clients["sns"], s3=clients["s3"], topic_arn=self.task_topic, bucket=self.bucket)
        self.watched_clients = clients
        dead_queues = DeadQueues(clients["sqs"])
        self.messages = ReturnedMessages(jobs=jobs, notices=notices, dead_queues=dead_queues, queue_prefix=QUEUE_PREFIX)
        self.reaper = Reaper(jobs=jobs, notices=notices, tasks=tasks, start_s=DEFAULT_DEADLINES.start_s)

    @contextlib.contextmanager
    def pages_of(self, entries):
        """Cut the answers to queries: those of the index's small entries would hold thousands."""

        def cut(params, **_):
            return {**params, "Limit": entries}

        events = self.watched_clients["dynamodb"].meta.events
        events.register("provide-client-params.dynamodb.Query", cut)
        yield
        events.unregister("provide-client-params.dynamodb.Query", cut)

    def make_queue(self, suffix, target=None):
        return self.make_named_queue("-".join(filter(None, (self.name, suffix))), target)

    def make_named_queue(self, name, target=None):
        policy = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{target}", "maxReceiveCount": 100}
        attributes = {"RedrivePolicy": json.dumps(policy)} if target else {}
        return self.aws["sqs"].create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def make_topic(self, suffix, queue_url):
        arn = self.aws["sns"].create_topic(Name=f"{self.name}-{suffix}")["TopicArn"]
        self.aws["sns"].subscribe(TopicArn=arn, Protocol="sqs", Endpoint=self.arn(queue_url))
        return arn

    @staticmethod
    def arn(queue_url):
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue_url.rpartition('/')[2]}"

    # The table

    def task(self, **metadata):
        metadata = {"id": "a", "runtime": self.name, "tasktype": "text-to-image", "job": new_job_id(), **metadata}
        return Task.model_validate({"metadata": metadata, "content": {"prompt": "secret words"}})

    def update(self, request):
        return JobRecord.from_item(
            self.aws["dynamodb"].update_item(**request | {"ReturnValues": "ALL_NEW"})["Attributes"]
        )

    def accepted(self, *, start_s=3600, **metadata):
        task = self.task(**metadata)
        self.aws["dynamodb"].put_item(**self.table.accept(task, self.now_s, start_by_s=self.now_s + start_s))
        return task

    def forget_start_by(self, task):
        """Make a job's item one that an earlier version wrote."""
        self.aws["dynamodb"].update_item(
            TableName=self.table.name, Key={"pk": {"S": task.metadata.job}}, UpdateExpression="REMOVE start_by"
        )

    def queued(self, *, start_s=3600, **metadata):
        task = self.accepted(start_s=start_s, **metadata)
        self.update(self.table.published(task.metadata.job, self.now_s + 1))
        return task

    def claim(self, task, job=None, token="token"):
        return self.update(
            self.table.claim(
                task,
                job or task.metadata.job,
                runtime=self.name,
                owner="pod",
                token=token,
                now_s=self.now_s,
                lease_s=LEASE_S,
                start_s=3600,
            )
        )

    def running(self, **metadata):
        task = self.queued(**metadata)
        self.claim(task)
        return task

    def renewal(self, task):
        """An agent's request that keeps a job for 50 s and leaves others an hour after that."""
        until_s = self.now_s + 50
        return self.table.renew(
            task.metadata.job, "token", until_s=until_s, start_by_s=until_s + 3600, attempts=1, progress=None
        )

    def ended(self, state, error=None, *, told=False, **metadata):
        task = self.running(**metadata)
        job = task.metadata.job
        finish = self.table.finish(
            job, "token", state, now_s=self.now_s, attempts=1, pictures=() if error else ("png",), error=error
        )
        self.update(finish)
        if told:
            self.update(self.table.notified(job, self.now_s))
        return task

    def record(self, job):
        job = job.metadata.job if isinstance(job, Task) else job
        return JobRecord.from_item(self.aws["dynamodb"].get_item(**self.table.get(job))["Item"])

    # The bucket and the queues

    def lay_content(self, task):
        self.aws["s3"].put_object(Bucket=self.bucket, Key=content_key(task.metadata.job), Body=b'{"prompt":"long"}')

    def take(self, queue_url):
        """All messages of a queue, which is empty then."""
        taken = []
        while (
            batch := self.aws["sqs"]
            .receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
            .get("Messages")
        ):
            for message in batch:
                self.aws["sqs"].delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            taken += batch
        return taken

    def notices(self):
        return [json.loads(json.loads(message["Body"])["Message"]) for message in self.take(self.heard)]

    def kept(self):
        """Body, code and reason of each message in the dead queue."""
        return [
            (
                message["Body"],
                *(message["MessageAttributes"][name]["StringValue"] for name in (CODE_ATTRIBUTE, REASON_ATTRIBUTE)),
            )
            for message in self.take(self.dead)
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
                    "eventSourceARN": self.arn(queue_url or self.returned),
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
def world(own_clients, watched):
    return World(own_clients, watched)


@pytest.fixture
def crash():
    return Crash


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
