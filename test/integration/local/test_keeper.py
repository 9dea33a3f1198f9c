import json
import time
from collections.abc import Iterator

import pytest

from contract.ids import new_job_id
from contract.task import Task
from jobs import commands
from jobs.job import Job, JobState
from jobs.store import JobStore
from local.aws import (
    JOBS_TABLE,
    NOTICE_TOPIC_ARN,
    OUTPUT_BUCKET,
    TASK_TOPIC_ARN,
    dead_queue_name,
    returned_queue_name,
)
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from test.kit.aws import FakeAws
from test.kit.processes import ChildProcess, wait_for


@pytest.fixture(scope="module")
def keeper(aws: FakeAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildProcess]:
    """The keeper's process over AWS as the local platform has it."""
    folder = tmp_path_factory.mktemp("keeper")
    runtimes = folder / "runtimes.json"
    runtimes.write_text(RuntimeCatalog([DeployedRuntime(name="only", type="comfyui")]).to_json())
    keeper = ChildProcess(
        *("local.keeper", f"--runtimes={runtimes}"),
        log=folder / "log",
        endpoint=aws.url,
        JOBS_TABLE=JOBS_TABLE,
        NOTICE_TOPIC_ARN=NOTICE_TOPIC_ARN,
        TASK_TOPIC_ARN=TASK_TOPIC_ARN,
        OUTPUT_BUCKET=OUTPUT_BUCKET,
        START_TIMEOUT_S="3600",
    )
    keeper.start()
    yield keeper
    keeper.kill()


def queued(aws: FakeAws, *, start_by_s: float) -> Task:
    metadata = {"id": "a", "runtime": "only", "tasktype": "pipeline", "job": new_job_id()}
    task = Task.model_validate({"metadata": metadata, "content": {}})
    jobs = JobStore(aws.dynamodb, JOBS_TABLE)
    jobs.run(commands.accept(task, time.time(), start_by_s=start_by_s))
    jobs.run(commands.published(metadata["job"], start_by_s))
    return task


def ended(aws: FakeAws, keeper: ChildProcess, task: Task) -> tuple[JobState, str | None]:
    """Wait until a job's notice was sent; its state, and the code of its error."""

    def told() -> Job | None:
        job = JobStore(aws.dynamodb, JOBS_TABLE).get(str(task.metadata.job))
        return job if job is not None and job.notified else None

    job = wait_for(told, lambda: keeper.log)
    assert job is not None
    return job.state, job.error and job.error.code


def test_a_returned_message_fails_its_job_and_moves_to_the_dead_queue(aws: FakeAws, keeper: ChildProcess) -> None:
    task = queued(aws, start_by_s=time.time() + 3600)
    queue = aws.queue_url(returned_queue_name("only"))
    aws.sqs.send_message(QueueUrl=queue, MessageBody=task.to_message())
    assert ended(aws, keeper, task) == (JobState.FAILED, "undeliverable")
    [message] = aws.take(aws.queue_url(dead_queue_name("only")), wait_s=20)
    assert json.loads(message["Body"])["metadata"]["job"] == task.metadata.job
    assert message["MessageAttributes"]["code"]["StringValue"] == "undeliverable"
    wait_for(lambda: aws.depth(queue) == (0, 0), lambda: keeper.log)


def test_an_overdue_job_is_ended_within_seconds(aws: FakeAws, keeper: ChildProcess) -> None:
    task = queued(aws, start_by_s=time.time() - 1)
    assert ended(aws, keeper, task) == (JobState.FAILED, "start_deadline_exceeded")
