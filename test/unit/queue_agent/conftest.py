import json
import sys
from pathlib import Path

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from agentkit import JOB

from contract.task import Task
from queue_agent.aws.queue import QueueMessage


@pytest.fixture(scope="session")
def make_task():
    """Makes a task with a content."""

    def make(content, tasktype="text-to-image", **metadata):
        metadata = {"id": "a", "runtime": "r", "tasktype": tasktype, **metadata}
        return Task.model_validate({"metadata": metadata, "content": content})

    return make


@pytest.fixture(scope="session")
def make_message():
    """Makes a queue message with a body, as SNS wraps it."""

    def make(body):
        envelope = {"Type": "Notification", "MessageId": "3a6f2f5e-envelope", "Timestamp": "2026-11-21T00:14:06.123Z"}
        envelope["Message"] = body if isinstance(body, str) else json.dumps(body)
        times = {"sent_ms": 1795224073954, "first_received_ms": 1795224073980}
        ids = {"queue_url": "https://sqs/queue", "message_id": "sqs-id", "receipt": "receipt"}
        return QueueMessage(**ids, body=json.dumps(envelope), deliveries=1, **times)

    return make


@pytest.fixture
def message(make_message):
    metadata = {"id": "a", "runtime": "r", "tasktype": "text-to-image", "context": {"abc": 123}, "job": JOB}
    return make_message({"metadata": metadata, "content": {"prompt": "x"}})
