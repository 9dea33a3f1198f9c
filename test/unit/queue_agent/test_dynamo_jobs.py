"""What is entered of a task that the jobs table does not have yet."""

import dataclasses
from datetime import UTC, datetime

import pytest
from agentkit import JOB

from queue_agent.aws.jobs import DynamoJobs


class Asked(Exception):  # noqa: N818 (it ends the call with what was asked)
    """The request."""


class Dynamodb:
    """Shows what it is asked."""

    async def update_item(self, **parameters):
        raise Asked(parameters)


async def created_s(task, message):
    jobs = DynamoJobs(Dynamodb(), table="jobs", runtime="r", owner="o")
    with pytest.raises(Asked) as caught:
        await jobs.claim(task, JOB, message, lease_s=60, start_s=60)
    return float(caught.value.args[0]["ExpressionAttributeValues"][":created_at"]["N"])


async def test_a_foreign_task_came_when_the_queue_says_so_whatever_the_clock_here_says(make_task, message):
    yesterday_ms = 1795224073954 - 86_400_000
    late = dataclasses.replace(message, sent_ms=yesterday_ms)
    assert await created_s(make_task({"prompt": "a"}), late) == yesterday_ms / 1000


async def test_a_task_of_the_door_came_when_the_door_took_it(make_task, message):
    taken = datetime(2026, 11, 20, tzinfo=UTC)
    assert await created_s(make_task({"prompt": "a"}, submitted_at=taken), message) == taken.timestamp()
