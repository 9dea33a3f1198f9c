import asyncio
from unittest.mock import AsyncMock

import pytest
from agentkit import JOB, Agent, picture, until

from queue_agent.errors import PlatformError, ServerError


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("queue_agent.worker._PAUSE_AFTER_ERROR_S", 0)
    monkeypatch.setattr("queue_agent.shutdown._STORING_S", 0.2)


def held(owner, name):
    """Have calls wait; returns the events that say that one does, and let it continue."""
    waits, go_on, call = asyncio.Event(), asyncio.Event(), getattr(owner, name)

    async def wait_first(*arguments, **keywords):
        waits.set()
        await go_on.wait()
        return await call(*arguments, **keywords)

    setattr(owner, name, wait_first)
    return waits, go_on


async def test_a_worker_survives_unexpected_errors_when_it_clears_the_server_receives_and_releases(message):
    agent = Agent(ServerError("away"), picture(), messages=[message, message])
    receive, received = agent.queue.receive, iter([KeyError("Messages"), PlatformError("sqs")])

    async def broken(max_messages):
        if error := next(received, None):
            raise error
        return await receive(max_messages)

    agent.server.clear = AsyncMock(side_effect=[AttributeError("get"), ServerError("away"), None])
    agent.queue.receive, agent.queue.release = broken, AsyncMock(side_effect=PlatformError("sqs"))
    async with agent.working():
        await until(lambda: agent.queue.log)
    assert agent.queue.log == ["delete"]


async def test_a_stopped_worker_waits_for_a_release_that_is_under_way_when_the_grace_ends(message):
    agent = Agent(messages=[message], grace_s=0.01)
    preparing, _ = held(agent.server, "prepare")
    releasing, go_on = held(agent.queue, "release")
    async with agent.working() as stop:
        await preparing.wait()
        stop.set()
        await releasing.wait()
        asyncio.get_running_loop().call_later(0.1, go_on.set)
    assert agent.queue.log == [("release", 0)]


async def test_what_is_drawn_when_the_grace_ends_is_released_if_storing_takes_too_long(message):
    agent = Agent(0, messages=[message], grace_s=0.01)
    storing, _ = held(agent.store, "put")
    async with agent.working() as stop:
        await storing.wait()
        stop.set()
    assert agent.queue.log == [("release", 0)]


async def test_the_pod_is_marked_busy_while_there_is_a_message_and_idle_after(message):
    agent = Agent(0.01, messages=[message])
    async with agent.working():
        await agent.server.started.wait()
        assert agent.marks == ["busy"]
        await until(lambda: len(agent.marks) > 1)
    assert agent.marks == ["busy", "idle"]


async def test_a_job_that_is_being_released_when_its_server_is_lost_is_released_once_with_its_attempt(message):
    agent = Agent(ServerError("nonsense"), messages=[message])
    releasing, go_on = held(agent.queue, "release")
    async with agent.working():
        await releasing.wait()
        agent.monitor.usable.clear()
        agent.monitor.lost.set()
        await asyncio.sleep(0.01)
        go_on.set()
    assert agent.jobs.writes.count(("release", 1, "counted")) == 1
    assert agent.queue.log == [("release", 5)]


async def test_a_job_that_is_cancelled_again_and_again_is_released_all_the_same(message):
    agent = Agent(300)
    _, go_on = held(agent.queue, "release")
    job = asyncio.create_task(agent.process(message))
    await agent.server.started.wait()
    for _ in range(5):
        job.cancel()
        await asyncio.sleep(0.001)
    go_on.set()
    await asyncio.wait({job})
    assert job.cancelled()
    assert agent.server.interrupted == [JOB]
    assert agent.queue.log == [("release", 0)]


async def test_a_monitor_that_dies_ends_the_worker_loudly():
    agent = Agent()
    agent.monitor.look = AsyncMock(side_effect=RuntimeError("a bug"))
    agent.monitor._seen_s -= 60
    with pytest.raises(ExceptionGroup) as caught:
        async with agent.working():
            await asyncio.Event().wait()
    assert caught.group_contains(RuntimeError, match="a bug")
