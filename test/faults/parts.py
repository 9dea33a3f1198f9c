"""The door, the keeper and the courier in the test's own process, each with a wire before AWS, and a virtual clock."""

import json
from collections import Counter

import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from api.door import Door
from api.http import Caller, Request, Stream, Wait
from api.services import Services
from contract import envelope
from contract.deadlines import DEFAULT_DEADLINES
from courier import delivery
from courier.batches import handle_changes, handle_messages
from courier.courier import Courier
from courier.queue import DeliveryQueue
from courier.secrets import WebhookSecrets
from courier.sender import WebhookSender
from courier.stream import TableStream
from jobs import commands, queries
from jobs.commands import NOTICE_DUE_S, PUBLISH_DUE_S
from jobs.job import AlreadyFinished, Claim, JobState
from jobs.notifier import JobNotifier
from jobs.schema import QUEUE_SHARDS
from jobs.store import JobStore
from keeper.reaper import Reaper
from keeper.republisher import TaskRepublisher
from local.aws import STREAM
from test.kit.processes import PATIENCE_S
from test.kit.rig import Rig
from test.kit.wire import Wire

TENANT = "tenant"
SECRET = "root secret of the tests, long enough"
RETRIES_S = 18 * 3600
"""Longer than the courier tries."""
_LOADER = Loader()
"""Reads AWS's service descriptions once for all clients."""
_MAX_MESSAGES = 1000


class PatientSession(botocore.session.Session):
    """Its clients wait for slow answers: of a transaction and its repetition at once, moto may do a half of each."""

    def create_client(self, *args, config=None, **kwargs):
        patient = Config(read_timeout=PATIENCE_S)
        return super().create_client(*args, config=config.merge(patient) if config else patient, **kwargs)


class Wired:
    """The AWS clients of one part, and its wire."""

    def __init__(self):
        self.wire = Wire()
        self._clients = {}

    def session(self):
        session = PatientSession()
        session.register_component("data_loader", _LOADER)
        session.register("before-send", self.wire)
        session.register("before-parameter-build.sqs.SendMessageBatch", _without_delay)
        return session

    def client(self, service):
        if service not in self._clients:
            self._clients[service] = self.session().create_client(service)
        return self._clients[service]


def _without_delay(params, **_):
    """The test's clock says when a message comes out."""
    params["Entries"] = [{**entry, "DelaySeconds": 0} for entry in params["Entries"]]


class Platform(Rig):
    """All parts over one runtime; its agent works at once, or when the test lets it.

    ``told`` is what a receiver got: the id of each webhook and its body. ``answer`` is what it answers the next one.
    """

    def __init__(self, kit, hook, monkeypatch):
        super().__init__(kit, "sdwebui")
        self.aws.dynamodb.update_table(TableName=self.store.table, **STREAM)
        self.dead_deliveries = self.aws.make_queue(f"{self.name}-courier-dead")
        self.deliveries = self.aws.make_queue(f"{self.name}-courier", VisibilityTimeout="0")
        arn = self.aws.queue_arn(f"{self.name}-courier")
        self.aws.sns.subscribe(TopicArn=self.notice_topic, Protocol="sqs", Endpoint=arn)
        self.webhook = {"url": hook}
        self.told = []
        self.answer = lambda: 200
        self.completions = Counter()
        self._held = []
        self._running = {}
        self.door_wired, self.keeper_wired, self.courier_wired = Wired(), Wired(), Wired()
        monkeypatch.setattr(botocore.session, "get_session", self.door_wired.session)
        places = {
            "TASK_TOPIC_ARN": self.task_topic,
            "NOTICE_TOPIC_ARN": self.notice_topic,
            "OUTPUT_BUCKET": self.bucket,
            "JOBS_TABLE": self.store.table,
            "RUNTIMES_FILE": str(self.catalog_file),
            "SIGNING_SECRET": SECRET,
            "ICONS": json.dumps({"runtime": self.name, "embeddings": "ngrams", "starter": False}),
            "COURIER_QUEUE_URL": self.deliveries,
            "ALLOW_PRIVATE_ADDRESSES": "true",
        }
        self.services = Services.from_environment(places)
        self.door = Door(self.services)
        self.start_keeper()
        self.start_courier()

    # Callers

    def ask(self, method, path, body=None, *, key=None, tenant=TENANT, is_admin=False, **query):
        """Send a request to API v1; returns the status, and the body's JSON or text."""
        headers = {"content-type": "application/json", **({"idempotency-key": key} if key else {})}
        request = Request(
            method=method,
            path=f"v1{path}",
            query=query,
            headers=headers,
            body=b"" if body is None else json.dumps(body).encode(),
            caller=Caller(tenant=tenant, is_admin=is_admin),
            base_url="https://api.example",
        )
        answer = self.door.answer(request)
        if isinstance(answer, Wait):
            answer = self.door.rendered(request, answer, answer.job)
        if isinstance(answer, Stream):
            return 200, "".join(answer.source.events(answer.job, 1.0))
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(answer.body) if is_json else answer.body.decode()

    def body(self, **changes):
        asked = {"runtime": self.name, "type": "text-to-image", "content": {"prompt": "a cat", "steps": 2}}
        return {**asked, "webhook": self.webhook, **changes}

    def submit(self, **changes):
        """A job that was accepted; returns its id."""
        status, job = self.ask("POST", "/jobs", self.body(**changes))
        assert status == 202, job
        return job["job"]

    # The agent

    def begin(self):
        """Take all tasks that are in the queue."""
        for message in self.aws.take(self.queue):
            task = envelope.read_message(message["Body"], message_id="m", sent_ms=0).task
            claim = self.claim(task, f"token-{len(self._running)}-{self.completions.total()}")
            if isinstance(claim, Claim):
                self._running[task.metadata.job] = claim.token
            elif isinstance(claim, AlreadyFinished) and not claim.job.notified:
                self._notifier(self.store, self.aws.sns).notify(claim.job)

    def draw(self):
        """End all that was begun: with a picture, unless its caller has asked for its end."""
        for job, token in self._running.items():
            is_cancelled = self.store.run(queries.cancel_requested(job))
            state = JobState.CANCELLED if is_cancelled else JobState.SUCCEEDED
            pictures = () if is_cancelled else ("png",)
            ending = commands.complete(job, token, state, now_s=self.now_s, attempts=1, pictures=pictures)
            if (change := self.store.run(ending)).done:
                self.completions[job] += 1
                self._notifier(self.store, self.aws.sns).notify(change.job)
        self._running.clear()

    # The keeper and the courier

    def _notifier(self, jobs, sns):
        return JobNotifier(
            sns=sns, topic_arn=self.notice_topic, jobs=jobs, bucket=self.bucket, clock=lambda: self.now_s
        )

    def start_keeper(self):
        """Make the keeper, as if its process had just begun."""
        dynamodb, sns, s3, sqs = map(self.keeper_wired.client, ("dynamodb", "sns", "s3", "sqs"))
        jobs = JobStore(dynamodb, self.store.table)
        places = {"topic_arn": self.task_topic, "bucket": self.bucket, "queue_prefix": ""}
        tasks = TaskRepublisher(jobs=jobs, sns=sns, s3=s3, sqs=sqs, **places)
        self.reaper = Reaper(
            jobs=jobs,
            notifier=self._notifier(jobs, sns),
            tasks=tasks,
            start_s=DEFAULT_DEADLINES.start_s,
            clock=lambda: self.now_s,
        )

    def start_courier(self):
        """Make the courier, as if its process had just begun."""
        dynamodb, self._courier_sqs = map(self.courier_wired.client, ("dynamodb", "sqs"))
        jobs = JobStore(dynamodb, self.store.table)
        self.delivery_queue = DeliveryQueue(sqs=self._courier_sqs, url=self.deliveries, dead_url=self.dead_deliveries)
        self.courier = Courier(
            jobs=jobs,
            secrets=WebhookSecrets(jobs=jobs, root=SECRET),
            queue=self.delivery_queue,
            sender=WebhookSender(allow_private=True),
            bucket=self.bucket,
            root=SECRET,
            clock=lambda: self.now_s,
        )
        streams = self.courier_wired.client("dynamodbstreams")
        self.stream = TableStream(dynamodb=dynamodb, streams=streams, table=self.store.table)

    def receive(self, _path, headers, body):
        """What the receiver does."""
        self.told.append((headers["webhook-id"], json.loads(body)))
        return self.answer(), {}, b""

    def read_changes(self, disturbed=lambda records: records):
        """Put what the table's stream tells into the courier's queue."""

        def handle(records):
            now = {"ApproximateCreationDateTime": self.now_s}
            records = [{**record, "dynamodb": {**record["dynamodb"], **now}} for record in records]
            failed = handle_changes(self.delivery_queue, {"Records": disturbed(records)}, self.now_s)
            return next((one["itemIdentifier"] for one in failed["batchItemFailures"]), None)

        while self.stream.poll(handle):
            pass

    def deliver(self):
        """Let the courier handle all that is due; a message that it fails on comes again."""
        self._let_out()
        for _ in range(_MAX_MESSAGES):
            answer = self._courier_sqs.receive_message(QueueUrl=self.deliveries, MaxNumberOfMessages=1)
            if not (messages := answer.get("Messages")):
                return
            record = {"messageId": messages[0]["MessageId"], "body": messages[0]["Body"]}
            if self._is_early(record["body"]):
                self._held.append(record["body"])
            elif handle_messages(self.courier, {"Records": [record]})["batchItemFailures"]:
                continue
            self._courier_sqs.delete_message(QueueUrl=self.deliveries, ReceiptHandle=messages[0]["ReceiptHandle"])
        raise AssertionError("the courier's queue does not become empty")

    def _is_early(self, body):
        message = delivery.read_message(body)
        return isinstance(message, delivery.Delivery) and message.due_s > self.now_s

    def _let_out(self):
        due = [body for body in self._held if not self._is_early(body)]
        self._held = [body for body in self._held if self._is_early(body)]
        for body in due:
            self.aws.sqs.send_message(QueueUrl=self.deliveries, MessageBody=body)

    # The end

    def pass_time(self, seconds=0):
        """Let all parts do what they must after so many seconds."""
        self.now_s += seconds
        self.reaper.run()
        self.begin()
        self.draw()
        self.read_changes()
        self.deliver()

    def finish(self):
        """Let everything end with all parts well."""
        for wired in (self.door_wired, self.keeper_wired, self.courier_wired):
            wired.wire.clear()
        self.start_keeper()
        self.start_courier()
        for seconds in (0, PUBLISH_DUE_S + 1, NOTICE_DUE_S + 1, RETRIES_S, DEFAULT_DEADLINES.start_s, NOTICE_DUE_S + 1):
            self.pass_time(seconds)

    def check(self, *accepted):
        """Check that every job has ended and was told truly; returns how each ended, by id.

        ``accepted`` are jobs that a caller was told of.
        """
        items = self.aws.dynamodb.get_paginator("scan").paginate(TableName=self.store.table)
        ids = {item["pk"]["S"] for page in items for item in page["Items"] if "state" in item}
        jobs = {job: self.store.get(job) for job in ids}
        assert set(accepted) <= ids
        assert [job.id for job in jobs.values() if not job.state.is_final or not job.notified or job.due_s] == []
        assert max(self.completions.values(), default=1) == 1
        for notice in self.listen():
            assert jobs[notice["job"]].notice(self.bucket).to_message() == json.dumps(notice, separators=(",", ":")), (
                notice
            )
        ended = {}
        for webhook, told in self.told:
            if told["type"] == "job.completed":
                job = told["data"]["job"]
                ended.setdefault(job, set()).add(webhook)
                assert told["data"]["state"] == jobs[job].state
        assert {job: len(ended.get(job, ())) for job in ids if jobs[job].webhook} == {
            job: 1 for job in ids if jobs[job].webhook
        }
        assert self._held == []
        assert [self.aws.depth(queue) for queue in (self.deliveries, self.dead_deliveries)] == [(0, 0)] * 2
        waiting = [self.store.run(queries.waiting(self.name, shard, most=1000)) for shard in QUEUE_SHARDS]
        assert (waiting, self.services.queues.load(self.name).queued) == ([0] * len(QUEUE_SHARDS), 0)
        return {job.id: job.state for job in jobs.values()}
