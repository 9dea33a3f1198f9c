"""The whole agent as a process, between moto's server and a stand-in model server, all over real HTTP."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import boto3
import httpx
import pytest

from contract.task import Task
from jobs.record import JobRecord
from jobs.requests import JobsTable
from jobs.schema import DEFINITION
from local.ports import free_port

REGION = "us-east-1"
WAIT_S = 60


def wait_for(condition, what, timeout_s=WAIT_S):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if (value := condition()) not in (None, False):
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def answers(url):
    def ask():
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(url, timeout=2).status_code == 200

    return ask


@contextlib.contextmanager
def process(*arguments, log, **environment):
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments], stdout=output, stderr=output, env={**os.environ, **environment}
        )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def aws_environment(logs):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    with process("-c", code, log=logs / "aws.log", **environment):
        wait_for(answers(f"{url}/moto-api/"), "AWS")
        yield environment


class Rig:
    """One runtime: its queue, its stand-in, its agent, and a queue that receives the notices."""

    def __init__(
        self,
        aws_environment,
        logs,
        runtime_type,
        *,
        models=("a.safetensors", "b.ckpt"),
        visibility_s=90,
        with_table=False,
        **agent_environment,
    ):
        self.name = f"{runtime_type}-{uuid.uuid4().hex[:6]}"
        self._aws = aws_environment
        self._log = logs / f"{self.name}.log"
        self._type = runtime_type
        self._models = models
        self._port = free_port()
        self.health_port = free_port()
        self._stack = contextlib.ExitStack()
        self._visibility_s = visibility_s
        self.table = JobsTable(f"jobs-{self.name}") if with_table else None
        table = {"JOBS_TABLE": self.table.name} if with_table else {}
        self._agent_environment = {**table, **agent_environment}
        self.server_url = f"http://127.0.0.1:{self._port}"
        self._create_resources()

    def _create_resources(self):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = {"endpoint_url": self._aws["AWS_ENDPOINT_URL"], "region_name": REGION, **keys}
        self.sqs, self.sns, self.s3, self.dynamodb = (
            boto3.client(name, **client) for name in ("sqs", "sns", "s3", "dynamodb")
        )
        if self.table:
            self.dynamodb.create_table(TableName=self.table.name, **DEFINITION)
        self.bucket = f"out-{self.name}"
        self.s3.create_bucket(Bucket=self.bucket)
        self._dead_url = self.create_queue("dead")
        redrive = {"deadLetterTargetArn": self._arn(self._dead_url), "maxReceiveCount": 100}
        self.queue_url = self.create_queue(
            "tasks", VisibilityTimeout=str(self._visibility_s), RedrivePolicy=json.dumps(redrive)
        )
        self._tasks_arn = self.sns.create_topic(Name=f"tasks-{self.name}")["TopicArn"]
        self._notices_arn = self.sns.create_topic(Name=f"notices-{self.name}")["TopicArn"]
        self._notices_url = self.create_queue("notices")
        for topic, queue in ((self._tasks_arn, self.queue_url), (self._notices_arn, self._notices_url)):
            self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._arn(queue))

    def create_queue(self, name, **attributes):
        return self.sqs.create_queue(QueueName=f"{name}-{self.name}", Attributes=attributes)["QueueUrl"]

    def _arn(self, queue_url):
        answer = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    def start_server(self):
        models = [argument for model in self._models for argument in ("--model", model)]
        command = ("-m", "runtimes.standin", "--type", self._type, "--port", str(self._port), *models)
        self.server = self._stack.enter_context(process(*command, log=self._log))
        wait_for(answers(f"{self.server_url}/_standin/jobs"), "stand-in")

    def start_agent(self, **environment):
        settings = {
            "SQS_QUEUE_URL": self.queue_url,
            "SNS_TOPIC_ARN": self._notices_arn,
            "S3_BUCKET": self.bucket,
            "RUNTIME_TYPE": self._type,
            "RUNTIME_NAME": self.name,
            "API_BASE_URL": self.server_url,
            "DYNAMIC_SD_MODEL": "false",
            "LOGLEVEL": "INFO",
            "ALLOW_LOOPBACK_INPUTS": "true",
        }
        self.agent = self._stack.enter_context(
            process(
                "-m",
                "queue_agent",
                log=self._log,
                **{**self._aws, **settings, **self._agent_environment, **environment},
            )
        )

    def close(self):
        self._stack.close()

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8")

    def until(self, condition, timeout_s=WAIT_S):
        """Wait for a condition; the log is shown when it does not come true."""
        wait_for(lambda: bool(condition()), f"a condition; log:\n{self.log[-3000:]}", timeout_s)

    def faults(self, **changes):
        httpx.post(f"{self.server_url}/_standin/faults", json=changes).raise_for_status()

    @property
    def jobs(self):
        return httpx.get(f"{self.server_url}/_standin/jobs").json()["jobs"]

    def upload(self, key, data):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def submit(self, content, tasktype, **metadata):
        """Publish a task as a foreign producer would; returns its id."""
        task_id = metadata.pop("id", f"t-{uuid.uuid4().hex[:8]}")
        metadata = {"id": task_id, "runtime": self.name, "tasktype": tasktype, **metadata}
        self.publish({"metadata": metadata, "content": content})
        return task_id

    def publish(self, body, **attributes):
        text = body if isinstance(body, str) else json.dumps(body)
        self.sns.publish(TopicArn=self._tasks_arn, Message=text, MessageAttributes=attributes)

    def notice(self, timeout_s=WAIT_S):
        """The next notice, with its SNS attributes under "attributes"."""

        def receive():
            answer = self.sqs.receive_message(QueueUrl=self._notices_url, WaitTimeSeconds=1)
            for message in answer.get("Messages", ()):
                self.sqs.delete_message(QueueUrl=self._notices_url, ReceiptHandle=message["ReceiptHandle"])
                envelope = json.loads(message["Body"])
                attributes = {name: value["Value"] for name, value in envelope["MessageAttributes"].items()}
                return {**json.loads(envelope["Message"]), "attributes": attributes}
            return None

        return wait_for(receive, f"a notice; log:\n{self.log[-3000:]}", timeout_s)

    def run(self, content, tasktype, **metadata):
        """Submit a task and wait for its notice."""
        task_id = self.submit(content, tasktype, **metadata)
        notice = self.notice()
        assert notice["id"] == task_id
        return notice

    def read(self, url):
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def head(self, url):
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return self.s3.head_object(Bucket=bucket, Key=key)

    def unfinished_uploads(self):
        return self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])

    def manifest(self, notice):
        return json.loads(self.read(notice["output_url"]))

    def dead_letter(self):
        """The next message of the dead queue: its body and attributes."""

        def receive():
            answer = self.sqs.receive_message(QueueUrl=self._dead_url, WaitTimeSeconds=1, MessageAttributeNames=["All"])
            for message in answer.get("Messages", ()):
                self.sqs.delete_message(QueueUrl=self._dead_url, ReceiptHandle=message["ReceiptHandle"])
                attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
                return message["Body"], attributes
            return None

        return wait_for(receive, "a dead letter")

    def task(self, job):
        """A task as the table sees it."""
        metadata = {"id": "a", "runtime": self.name, "tasktype": "pipeline", "job": job}
        return Task.model_validate({"metadata": metadata, "content": {}})

    def record(self, job):
        """A job as the table has it; None while it has not."""
        item = self.dynamodb.get_item(**self.table.get(job)).get("Item")
        return item and JobRecord.from_item(item)

    def queue_depth(self):
        """Messages waiting and in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return tuple(int(attributes[name]) for name in names)

    def is_empty(self):
        return self.queue_depth() == (0, 0)

    def terminate_agent(self, timeout_s=10):
        self.agent.send_signal(signal.SIGTERM)
        return self.agent.wait(timeout_s)


class FluxRig(Rig):
    """A runtime of type flux: the real server, with a pipeline that paints; a step takes 0.05 s."""

    def __init__(self, aws_environment, logs, *, with_table):
        super().__init__(aws_environment, logs, "flux", with_table=with_table, visibility_s=3)
        self._faults = logs / f"{self.name}.faults.json"

    def start_server(self, **environment):
        settings = {
            "PIPELINE": "runtimes.flux.standin.painting:load",
            "MODEL_OPTIONS": json.dumps({"profile": "flux-kontext"}),
            "HOST": "127.0.0.1",
            "PORT": str(self._port),
            "STANDIN_FAULTS": str(self._faults),
            **environment,
        }
        self.server = self._stack.enter_context(process("-m", "runtimes.flux.server", log=self._log, **settings))
        wait_for(answers(f"{self.server_url}/health"), "the server")

    def faults(self, **changes):
        """Set the pipeline's faults; those not named are none."""
        self._faults.write_text(json.dumps(changes))

    @property
    def jobs(self):
        """Ids of the server's jobs, by state."""
        return httpx.get(f"{self.server_url}/jobs").json()

    @property
    def batches(self):
        """How many jobs were drawn together, batch by batch."""
        numbers = Counter(httpx.get(f"{self.server_url}/jobs/{job}").json()["batch"] for job in self.given)
        return [numbers[number] for number in sorted(numbers)]

    @property
    def given(self):
        """Ids of all jobs that the server was given."""
        return {job for jobs in self.jobs.values() for job in jobs}


@pytest.fixture
def own_flux(flux_alone):
    """A runtime of one's own without an agent, for tests that kill its server or agent."""
    flux_alone.start_server()
    return flux_alone


@pytest.fixture
def flux_alone(aws_environment, logs):
    """A runtime of one's own, of which nothing runs yet."""
    with contextlib.closing(FluxRig(aws_environment, logs, with_table=False)) as rig:
        yield rig


@pytest.fixture(scope="session")
def flux(aws_environment, logs):
    with contextlib.closing(FluxRig(aws_environment, logs, with_table=True)) as rig:
        rig.start_server()
        rig.start_agent()
        yield rig


@pytest.fixture
def make_rig(aws_environment, logs):
    """Make runtimes of one's own, for tests that break them."""
    with contextlib.ExitStack() as stack:

        def make(runtime_type, **options):
            rig = Rig(aws_environment, logs, runtime_type, **options)
            stack.callback(rig.close)
            return rig

        yield make


def _shared_rig(aws_environment, logs, runtime_type, **options):
    rig = Rig(aws_environment, logs, runtime_type, **options)
    rig.start_server()
    rig.start_agent()
    yield rig
    rig.close()


@pytest.fixture(scope="session")
def sdwebui(aws_environment, logs):
    yield from _shared_rig(aws_environment, logs, "sdwebui")


@pytest.fixture(scope="session")
def dynamic_sdwebui(aws_environment, logs):
    yield from _shared_rig(aws_environment, logs, "sdwebui", DYNAMIC_SD_MODEL="true")


@pytest.fixture(scope="session")
def comfyui(aws_environment, logs):
    yield from _shared_rig(aws_environment, logs, "comfyui")


@pytest.fixture(scope="session")
def input_png():
    return Path("test/input.png").read_bytes()
