import json
import sys
from pathlib import Path

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from agentkit import JOB

from contract.ids import new_job_id
from contract.task import Task
from queue_agent.aws.queue import QueueMessage


def task_of(content, tasktype="text-to-image", **metadata):
    """A task with a content."""
    return Task.model_validate(
        {"metadata": {"id": "a", "runtime": "r", "tasktype": tasktype, **metadata}, "content": content}
    )


def message_of(body, *, deliveries=1):
    """A queue message with a body, as SNS wraps it."""
    text = body if isinstance(body, str) else json.dumps(body)
    envelope = {
        "Type": "Notification",
        "MessageId": "3a6f2f5e-envelope",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:tasks",
        "Message": text,
        "Timestamp": "2026-11-21T00:14:06.123Z",
    }
    return QueueMessage(
        message_id="sqs-id",
        receipt="receipt",
        body=json.dumps(envelope),
        deliveries=deliveries,
        sent_ms=1795224073954,
        first_received_ms=1795224073980,
    )


@pytest.fixture(scope="session")
def make_task():
    return task_of


@pytest.fixture(scope="session")
def make_message():
    return message_of


@pytest.fixture
def job():
    return new_job_id()


@pytest.fixture
def message(make_message):
    metadata = {"id": "a", "runtime": "r", "tasktype": "text-to-image", "context": {"abc": 123}, "job": JOB}
    return make_message({"metadata": metadata, "content": {"prompt": "x"}})
