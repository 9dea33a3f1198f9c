"""What SQS is asked for, and for how long an answer is waited for."""

import asyncio

import pytest

from queue_agent.aws import queue as queue_module
from queue_agent.aws.queue import SqsQueue
from queue_agent.errors import PlatformError


class Sqs:
    """Notes what it is asked; answers with messages, or never."""

    def __init__(self, *, silent=False):
        self.asked = []
        self.silent = silent

    async def call(self, operation, **parameters):
        self.asked.append((operation, parameters))
        if self.silent:
            await asyncio.sleep(60)
        attributes = {
            "ApproximateReceiveCount": "2",
            "SentTimestamp": "1795224073954",
            "ApproximateFirstReceiveTimestamp": "1795224073980",
        }
        count = parameters.get("MaxNumberOfMessages", 0)
        return {
            "Messages": [
                {"MessageId": f"m{number}", "ReceiptHandle": "r", "Body": "b", "Attributes": attributes}
                for number in range(count)
            ]
        }


def queue_of(sqs):
    return SqsQueue(sqs, url="https://sqs/queue", dead_queue_url=None, visibility_s=90)


@pytest.mark.parametrize(("most", "asked_for", "wait_s"), [(1, 1, 20), (2, 2, 1), (10, 10, 1), (40, 10, 1)])
async def test_one_message_is_waited_for_long_and_several_only_as_long_as_no_idle_agent_would_mind(
    most, asked_for, wait_s
):
    sqs = Sqs()
    messages = await queue_of(sqs).receive(most)
    ((_, parameters),) = sqs.asked
    assert (parameters["MaxNumberOfMessages"], parameters["WaitTimeSeconds"]) == (asked_for, wait_s)
    assert [message.message_id for message in messages] == [f"m{number}" for number in range(asked_for)]
    read = {(message.deliveries, message.sent_ms, message.first_received_ms) for message in messages}
    assert read == {(2, 1795224073954, 1795224073980)}


async def test_an_agent_that_must_stop_waits_for_no_queue_that_does_not_take_its_message_back(message, monkeypatch):
    monkeypatch.setattr(queue_module, "_RELEASE_S", 0.01)
    with pytest.raises(PlatformError, match="in time"):
        await asyncio.wait_for(queue_of(Sqs(silent=True)).release(message), 1)
