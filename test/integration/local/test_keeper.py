import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from contract.ids import new_job_id
from contract.task import Task
from jobs.record import JobRecord, JobState
from jobs.requests import JobsTable
from local.aws import (
    JOBS_TABLE,
    NOTICE_TOPIC_ARN,
    OUTPUT_BUCKET,
    TASK_TOPIC_ARN,
    dead_queue_name,
    queue_url,
    returned_queue_name,
)
from local.sandbox import sandbox_environment
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 30


class Keeper:
    """AWS as the local platform has it, with the keeper's process over it."""

    def __init__(self, endpoint: str, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.endpoint = endpoint
        environment = sandbox_environment(endpoint)
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_REGION"],
        )
        self.dynamodb, self.sqs = (session.client(name, endpoint_url=endpoint) for name in ("dynamodb", "sqs"))
        self.table = JobsTable(JOBS_TABLE)

    def queued(self, *, start_by_s: float) -> Task:
        metadata = {"id": "a", "runtime": "only", "tasktype": "pipeline", "job": new_job_id()}
        task = Task.model_validate({"metadata": metadata, "content": {}})
        self.dynamodb.put_item(**self.table.accept(task, time.time(), start_by_s=start_by_s))
        self.dynamodb.update_item(**self.table.published(metadata["job"], start_by_s))
        return task

    def told(self, task: Task) -> JobRecord:
        """Wait until a job's notice was sent."""
        deadline = time.monotonic() + TIMEOUT_S
        request = self.table.get(str(task.metadata.job))
        while not (record := JobRecord.from_item(self.dynamodb.get_item(**request)["Item"])).notified:
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return record

    def url(self, name: str) -> str:
        return queue_url(self.endpoint, name)

    def count(self, url: str) -> int:
        """Messages in a queue, hidden ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, attributes.values()))

    def receive(self, name: str) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=self.url(name), WaitTimeSeconds=5, MessageAttributeNames=["All"])
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages


@pytest.fixture(scope="module")
def keeper(aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    runtimes = tmp_path_factory.mktemp("keeper") / "runtimes.json"
    runtimes.write_text(RuntimeCatalog([DeployedRuntime(name="only", type="comfyui")]).to_json())
    environment = {
        **os.environ,
        **sandbox_environment(aws_endpoint),
        "JOBS_TABLE": JOBS_TABLE,
        "NOTICE_TOPIC_ARN": NOTICE_TOPIC_ARN,
        "TASK_TOPIC_ARN": TASK_TOPIC_ARN,
        "OUTPUT_BUCKET": OUTPUT_BUCKET,
        "START_TIMEOUT_S": "3600",
    }
    command = [sys.executable, "-m", "local.keeper", f"--runtimes={runtimes}"]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            yield Keeper(aws_endpoint, process)
        finally:
            process.terminate()


def test_a_returned_message_fails_its_job_and_moves_to_the_dead_queue(keeper: Keeper) -> None:
    task = keeper.queued(start_by_s=time.time() + 3600)
    queue = keeper.url(returned_queue_name("only"))
    keeper.sqs.send_message(QueueUrl=queue, MessageBody=task.to_message())
    record = keeper.told(task)
    assert record.error is not None
    assert (record.state, record.error.code) == (JobState.FAILED, "undeliverable")
    [message] = keeper.receive(dead_queue_name("only"))
    assert json.loads(message["Body"])["metadata"]["job"] == task.metadata.job
    assert message["MessageAttributes"]["code"]["StringValue"] == "undeliverable"
    deadline = time.monotonic() + TIMEOUT_S
    while keeper.count(queue):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_overdue_job_is_ended_within_seconds(keeper: Keeper) -> None:
    record = keeper.told(keeper.queued(start_by_s=time.time() - 1))
    assert record.error is not None
    assert record.error.code == "start_deadline_exceeded"
