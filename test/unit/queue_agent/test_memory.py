"""What the tasks of one agent hold together."""

import asyncio
import random

import pytest
from agentkit import JOB, Agent, no_inputs, picture

from contract.inputs import MAX_CONTENT_BYTES, MAX_LINK_BYTES, MAX_LINKED_BYTES
from queue_agent.media import identify
from queue_agent.memory import MemoryBudget
from queue_agent.ports import Input


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


class Task:
    """A task that takes memory in a task of its own and holds it until told."""

    def __init__(self, budget, *sizes):
        self.held = 0
        self.done = asyncio.Event()
        self._running = asyncio.create_task(self._run(budget, sizes))

    async def _run(self, budget, sizes):
        with budget.task(no_inputs) as memory:
            for size in sizes:
                await memory.take(size)
                self.held = size
            await self.done.wait()

    async def end(self):
        self.done.set()
        await self._running
        await settled()


async def test_tasks_take_memory_in_their_order_and_one_larger_than_all_there_is_runs_alone():
    budget = MemoryBudget(100)
    small, large, later = Task(budget, 10), Task(budget, 500), Task(budget, 10)
    await settled()
    assert (small.held, large.held, later.held) == (10, 0, 0)
    await small.end()
    assert (large.held, later.held) == (500, 0)
    await large.end()
    assert later.held == 10
    await later.end()
    assert budget.held_bytes == 0


@pytest.mark.parametrize("seed", range(100))
async def test_whatever_tasks_take_and_whichever_are_cancelled_all_come_to_their_end(seed):
    chance, budget = random.Random(seed), MemoryBudget(100)
    gates: list[asyncio.Event] = []

    async def work(sizes):
        with budget.task(no_inputs) as memory:
            for size in sizes:
                if size < 0:
                    memory.hold(-size)
                else:
                    await memory.take(size)
                gates.append(asyncio.Event())
                await gates[-1].wait()

    def sizes():
        return chance.choices([0, 5, 30, 60, 99, 100, 101, 500, -10, -40, -200], k=chance.randrange(1, 5))

    tasks = {asyncio.create_task(work(sizes())) for _ in range(chance.randrange(2, 25))}
    left = sorted(tasks, key=id)
    for _ in range(1000):
        await settled()
        left = [task for task in left if not task.done()]
        if left and chance.random() < 0.05:
            chance.choice(left).cancel()
        if shut := [gate for gate in gates if not gate.is_set()]:
            chance.choice(shut).set()
    assert left == []
    assert budget.held_bytes == 0
    assert [task.exception() for task in tasks if not task.cancelled() and task.exception()] == []


@pytest.mark.parametrize(("links", "room_bytes"), [(1, MAX_LINK_BYTES), (3, MAX_LINKED_BYTES)])
async def test_there_is_room_for_all_that_links_may_lead_to_before_any_is_fetched(links, room_bytes):
    budget, held = MemoryBudget(2**30), []

    async def fetch(inputs):
        held.append(budget.held_bytes)
        return {item.text: identify(bytes(2000)) for item in inputs}

    with budget.task(fetch) as memory:
        memory.has_content(500)
        await memory.fetch([Input(f"http://x/{number}", "image") for number in range(links)])
        held.append(budget.held_bytes)
        memory.is_prepared()
        held.append(budget.held_bytes)
        memory.has_result(picture(b"x" * 100, lambda: None))
        assert held[0] >= room_bytes > held[1] > held[2] >= 500 + links * 2000
        assert budget.held_bytes == held[2] + 100


async def test_the_wait_for_room_is_no_part_of_a_preparations_time():
    budget = MemoryBudget(100)
    other = Task(budget, 100)
    await settled()
    with budget.task(no_inputs) as memory:
        asyncio.get_running_loop().call_later(0.05, other.done.set)
        async with memory.time_limit(0.001):
            await memory.expect_content(10)
        with pytest.raises(TimeoutError):
            async with memory.time_limit(0.001):
                await asyncio.Event().wait()


async def test_a_content_in_s3_is_fetched_when_there_is_room_and_all_is_given_back_at_the_end(make_message):
    budget = MemoryBudget(4 * MAX_CONTENT_BYTES)
    agent = Agent(picture(), memory=budget)
    other = Task(budget, 1)
    await settled()
    metadata = {"id": "a", "runtime": "r", "tasktype": "text-to-image"}
    message = make_message({"metadata": metadata, "content_url": f"s3://bucket/_tasks/{JOB}.json"})
    agent.store.objects["bucket", f"_tasks/{JOB}.json"] = b'{"prompt": "a"}'
    job = asyncio.create_task(agent.process(message))
    await settled()
    assert not agent.server.runs
    await other.end()
    await job
    assert agent.queue.log == ["delete"]
    assert budget.held_bytes == 0
