"""The door's own handler with real botocore clients, and moto's server behind a wire that can be disturbed."""

import importlib
import json
import sys
import time
import uuid
from types import SimpleNamespace

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader
from moto.server import ThreadedMotoServer

from configuration.deadlines import CommonDeadlines
from contract.task import Task
from jobs.record import JobRecord
from jobs.requests import JobsTable
from jobs.schema import DEFINITION
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

CATALOG = RuntimeCatalog(
    [
        DeployedRuntime(name="sdruntime", type="sdwebui", model_filename="a.safetensors"),
        DeployedRuntime(
            name="comfy", type="comfyui", deadlines=CommonDeadlines.model_validate({"startSeconds": 600}).deadlines
        ),
    ]
)
AWS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


LOADER = Loader()
"""Reads AWS's service descriptions once for all doors."""


class DiedError(BaseException):
    """The door's process ended here; nothing in it could catch that."""


class Wire:
    """What lies between one door and AWS. Notes each call; a disturbed one meets its trouble."""

    def __init__(self):
        self.calls = []
        self._troubles = {}
        self._session = URLLib3Session()

    def __call__(self, request, event_name, **_):
        operation = event_name.rpartition(".")[2]
        self.calls.append(operation)
        trouble = self._troubles.get(operation)
        return trouble(request) if trouble else None

    def die_before(self, operation):
        def trouble(request):
            raise DiedError

        self._troubles[operation] = trouble

    def die_after(self, operation):
        def trouble(request):
            self._session.send(request)
            raise DiedError

        self._troubles[operation] = trouble

    def cut(self, operation):
        """AWS cannot be reached."""

        def trouble(request):
            raise ConnectionClosedError(endpoint_url=request.url)

        self._troubles[operation] = trouble

    def lose_answers(self, operation, times=sys.maxsize):
        """AWS does what it is asked, and the answer is lost."""
        left = iter(range(times))

        def trouble(request):
            if next(left, None) is None:
                return
            self._session.send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

        self._troubles[operation] = trouble

    def answer_once(self, operation, error, **body):
        """AWS answers the first such call with an error."""

        def trouble(request):
            del self._troubles[operation]
            content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{error}", **body}).encode()
            response = AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, None)
            response._content = content
            return response

        self._troubles[operation] = trouble

    def meanwhile(self, operation, deed, *, after=False):
        """Something else happens just before such a call arrives, or just after."""

        def trouble(request):
            del self._troubles[operation]
            response = self._session.send(request) if after else None
            deed()
            return response

        self._troubles[operation] = trouble


class Door:
    """One door, as Lambda loads it."""

    def __init__(self, monkeypatch, **environment):
        self.wire = Wire()
        make_session = botocore.session.Session

        def get_session():
            session = make_session()
            session.register_component("data_loader", LOADER)
            session.register("before-send", self.wire)
            return session

        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(botocore.session, "get_session", get_session)
        sys.modules.pop("api.handlers", None)
        self._handler = importlib.import_module("api.handlers").handler

    def post(self, body, *, key=None, tenant="tenant", path="/v1alpha2", headers=None):
        """Send a request; its status and the text of its answer."""
        response = self.respond(body, key=key, tenant=tenant, path=path, headers=headers)
        return response["statusCode"], response["body"]

    def respond(self, body, *, key=None, tenant="tenant", path="/v1alpha2", headers=None):
        headers = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            headers["Idempotency-Key"] = key
        event = {
            "httpMethod": "POST",
            "path": path,
            "headers": headers,
            "body": body if isinstance(body, str) else json.dumps(body),
            "requestContext": {"identity": {"apiKeyId": tenant}},
        }
        return self._handler(event, None)


class Platform:
    """A bucket, a topic with a queue behind it, a jobs table, and any number of doors."""

    def __init__(self, url, monkeypatch, runtimes_file):
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self._monkeypatch = monkeypatch
        self.dynamodb, sns, self.sqs, self.s3 = (
            boto3.client(service, endpoint_url=url, **AWS) for service in ("dynamodb", "sns", "sqs", "s3")
        )
        self.table = JobsTable(self.name)
        self.dynamodb.create_table(TableName=self.name, **DEFINITION)
        self.s3.create_bucket(Bucket=self.name)
        topic = sns.create_topic(Name=self.name)["TopicArn"]
        self._queue = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:123456789012:{self.name}")
        self.environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "TASK_TOPIC_ARN": topic,
            "OUTPUT_BUCKET": self.name,
            "RUNTIMES_FILE": str(runtimes_file),
            "JOBS_TABLE": self.name,
        }

    def door(self, **environment):
        return Door(self._monkeypatch, **{**self.environment, **environment})

    @property
    def items(self):
        return self.dynamodb.scan(TableName=self.name)["Items"]

    @property
    def jobs(self):
        """Every job in the table."""
        return [JobRecord.from_item(item) for item in self.items if "state" in item]

    @property
    def job(self):
        """The one job in the table."""
        (job,) = self.jobs
        return job

    def messages(self):
        """Every task that was published since the last call, as its SNS envelope."""
        found = []
        while batch := self.sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in batch]
        return found

    def published_jobs(self):
        return [json.loads(envelope["Message"])["metadata"]["job"] for envelope in self.messages()]

    def claim(self):
        """An agent takes the one job."""
        job = self.job.job
        metadata = {"id": "a", "runtime": "sdruntime", "tasktype": "t", "job": job}
        task = Task.model_validate({"metadata": metadata, "content": {}})
        claim = self.table.claim(
            task, job, runtime="sdruntime", owner="o", token="t", now_s=time.time(), lease_s=90, start_s=60
        )
        self.dynamodb.update_item(**claim)


@pytest.fixture(scope="session")
def aws_url():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def platform(aws_url, monkeypatch, tmp_path):
    # botocore waits before it tries again.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    runtimes = tmp_path / "runtimes.json"
    runtimes.write_text(CATALOG.to_json())
    return Platform(aws_url, monkeypatch, runtimes)


@pytest.fixture
def died():
    return DiedError
