"""Queues by priority: whose message is taken, and what becomes of one that is not wanted any more."""

import asyncio
from collections import Counter

import pytest
from agentkit import until

from contract.queues import Priority
from queue_agent.aws.priorities import TURNS, PriorityQueues
from queue_agent.aws.queue import QueueMessage, SqsQueue
from queue_agent.errors import PlatformError

URLS = {priority: f"https://sqs/queue{priority.suffix}" for priority in Priority}


class FakeSqs:
    """Queues in memory, by URL; a long poll waits until a message comes, or the test ends it."""

    def __init__(self):
        self.waiting = {url: [] for url in URLS.values()}
        self.polls = {url: [] for url in URLS.values()}
        self.calls = []

    def put(self, priority, *receipts):
        url = URLS[priority]
        self.waiting[url] += receipts
        while self.polls[url] and self.waiting[url]:
            self.end_poll(priority)

    def end_poll(self, priority):
        self.polls[URLS[priority]].pop(0).set()

    async def receive_message(self, *, QueueUrl, MaxNumberOfMessages, WaitTimeSeconds, **_):  # noqa: N803 (SQS's names)
        self.calls.append((QueueUrl, WaitTimeSeconds))
        if WaitTimeSeconds and not self.waiting[QueueUrl]:
            self.polls[QueueUrl].append(event := asyncio.Event())
            await event.wait()
        else:
            await asyncio.sleep(0)
        taken = [self.waiting[QueueUrl].pop(0) for _ in range(min(MaxNumberOfMessages, len(self.waiting[QueueUrl])))]
        times = {"SentTimestamp": "1", "ApproximateFirstReceiveTimestamp": "1", "ApproximateReceiveCount": "1"}
        return {
            "Messages": [{"MessageId": one, "ReceiptHandle": one, "Body": "", "Attributes": times} for one in taken]
        }

    async def change_message_visibility(self, *, QueueUrl, ReceiptHandle, VisibilityTimeout):  # noqa: N803
        self.calls.append((QueueUrl, ReceiptHandle, VisibilityTimeout))

    async def delete_message(self, *, QueueUrl, ReceiptHandle):  # noqa: N803
        self.calls.append((QueueUrl, ReceiptHandle))


@pytest.fixture
def sqs():
    return FakeSqs()


@pytest.fixture
async def queues(sqs):
    made = {one: SqsQueue(sqs, url=url, dead_queue_url=None, visibility_s=90) for one, url in URLS.items()}
    queues = PriorityQueues(made, first_turn=0)
    yield queues
    await queues.aclose()


async def received(queues, count):
    """Receive so many messages, one at a time; the priority of each."""
    of_url = {url: priority for priority, url in URLS.items()}
    return [of_url[(await queues.receive())[0].queue_url] for _ in range(count)]


@pytest.mark.parametrize("first_turn", range(len(TURNS)))
async def test_while_all_queues_have_messages_six_of_any_ten_are_high_three_normal_and_one_low(queues, sqs, first_turn):
    queues._turn = first_turn
    for priority in Priority:
        sqs.put(priority, *(f"{priority}-{number}" for number in range(20)))
    assert Counter(await received(queues, 10)) == {Priority.HIGH: 6, Priority.NORMAL: 3, Priority.LOW: 1}
    assert Counter(await received(queues, 10)) == {Priority.HIGH: 6, Priority.NORMAL: 3, Priority.LOW: 1}


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"low": 3}, ["low", "low", "low"]),
        ({"low": 2, "normal": 12}, [*["normal"] * 6, "low", *["normal"] * 6, "low"]),
        ({"low": 2, "high": 10}, [*["high"] * 6, "low", *["high"] * 4, "low"]),
    ],
)
async def test_what_an_empty_queue_leaves_goes_to_the_most_urgent_of_the_others(queues, sqs, there, taken):
    for name, count in there.items():
        sqs.put(Priority(name), *(f"{name}-{number}" for number in range(count)))
    assert await received(queues, len(taken)) == taken


@pytest.mark.parametrize("priority", Priority)
async def test_an_idle_agent_waits_at_all_queues_at_once_and_the_first_message_ends_that(queues, sqs, priority):
    receiving = asyncio.create_task(queues.receive())
    await until(lambda: all(sqs.polls.values()))
    sqs.put(priority, "a", "b")
    assert [one.message_id for one in await receiving] == ["a"]
    # The waits at the others go on, and are not asked a second time.
    sqs.calls.clear()
    assert [one.message_id for one in await queues.receive()] == ["b"]
    assert sqs.calls == [(URLS[priority], 0)]


async def test_a_message_that_comes_to_a_wait_when_nobody_wants_it_goes_back_to_its_own_queue_at_once(queues, sqs):
    receiving = asyncio.create_task(queues.receive())
    await until(lambda: all(sqs.polls.values()))
    sqs.put(Priority.NORMAL, "wanted")
    await receiving
    sqs.put(Priority.HIGH, "early")
    await until(lambda: (URLS[Priority.HIGH], "early", 0) in sqs.calls)
    assert not queues._waits.keys() & {Priority.HIGH, Priority.NORMAL}


async def test_a_wait_that_ends_with_nothing_ends_the_call_and_the_next_one_waits_there_again(queues, sqs):
    receiving = asyncio.create_task(queues.receive())
    await until(lambda: all(sqs.polls.values()))
    sqs.calls.clear()
    sqs.end_poll(Priority.LOW)
    assert await receiving == []
    receiving = asyncio.create_task(queues.receive())
    await until(lambda: all(sqs.polls.values()))
    assert sqs.calls == [(URLS[Priority.LOW], 20)]  # an idle agent asks each queue once in 20 s
    sqs.put(Priority.HIGH, "a")
    assert [one.message_id for one in await receiving] == ["a"]


async def test_an_error_of_one_queue_ends_the_call_with_it(queues, sqs, monkeypatch):
    async def broken(max_messages=1):
        raise PlatformError("sqs:ReceiveMessage failed: AccessDenied")

    monkeypatch.setattr(queues._queues[Priority.LOW], "receive", broken)
    with pytest.raises(PlatformError, match="AccessDenied"):
        await queues.receive()


async def test_a_message_is_extended_released_and_deleted_in_the_queue_that_it_came_from(sqs):
    main = SqsQueue(sqs, url=URLS[Priority.NORMAL], dead_queue_url=None, visibility_s=90)
    high = URLS[Priority.HIGH]
    message = QueueMessage(
        queue_url=high, message_id="m", receipt="r", body="", deliveries=1, sent_ms=1, first_received_ms=1
    )
    await main.extend(message)
    await main.release(message, 5)
    await main.delete(message)
    assert sqs.calls == [(high, "r", 90), (high, "r", 5), (high, "r")]
