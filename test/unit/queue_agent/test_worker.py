import asyncio

import pytest
from agentkit import JOB, Agent, picture, until, worker_of

from queue_agent.errors import PlatformError, ServerError


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("queue_agent.worker._PAUSE_AFTER_ERROR_S", 0)


async def run_until(agent, condition, **options):
    """Run a worker until a condition holds, stop it, and wait for its end."""
    running, stop = worker_of(agent, **options)
    await until(lambda: condition() or running.done())
    stop.set()
    await running


def held(agent, *names):
    """Have calls of the store or the queue wait; returns the events that say that one does, and let it continue."""
    waits, go_on = asyncio.Event(), asyncio.Event()
    for name in names:
        owner = agent.store if name == "put" else agent.queue
        call = getattr(owner, name)

        async def wait_first(*arguments, call=call, **keywords):
            waits.set()
            await go_on.wait()
            return await call(*arguments, **keywords)

        setattr(owner, name, wait_first)
    return waits, go_on


def lose(monitor):
    monitor.usable.clear()
    monitor.lost.set()


def find(monitor):
    monitor.lost.clear()
    monitor.usable.set()


async def test_a_worker_survives_unexpected_errors_when_it_clears_the_server_and_receives(message):
    agent = Agent(picture())
    agent.queue.waiting = [message]
    receive, cleared = agent.queue.receive, iter([AttributeError("get"), ServerError("away"), None])
    received = iter([KeyError("Messages"), PlatformError("sqs"), None])

    async def clear():
        if error := next(cleared):
            raise error

    async def broken(max_messages):
        if error := next(received, None):
            raise error
        return await receive(max_messages)

    agent.server.clear, agent.queue.receive = clear, broken
    await run_until(agent, lambda: agent.queue.log)
    assert agent.queue.log == ["delete"]


async def test_a_stopped_worker_finishes_its_job_within_the_grace_and_receives_no_other(message):
    agent = Agent(0.1, 0.1)
    agent.queue.waiting = [message, message]
    await run_until(agent, agent.server.started.is_set)
    assert agent.queue.log == ["delete"]
    assert len(agent.queue.waiting) == 1


async def test_a_stopped_worker_waits_for_a_release_that_is_under_way_when_the_grace_ends(message):
    agent = Agent()
    preparing = asyncio.Event()

    async def endless_prepare(*_):
        preparing.set()
        await asyncio.Event().wait()

    agent.server.prepare = endless_prepare
    agent.queue.waiting = [message]
    releasing, go_on = held(agent, "release")
    running, stop = worker_of(agent, grace_s=0.01)
    await preparing.wait()
    stop.set()
    await releasing.wait()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    await running
    assert agent.queue.log == [("release", 0)]


async def test_what_is_drawn_when_the_grace_ends_is_stored_all_the_same(message):
    agent = Agent(0)
    agent.queue.waiting = [message]
    storing, go_on = held(agent, "put")
    running, stop = worker_of(agent, grace_s=0.01)
    await storing.wait()
    stop.set()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    await running
    assert agent.queue.log == ["delete"]


async def test_what_cannot_be_stored_soon_after_the_grace_is_released(message, monkeypatch):
    monkeypatch.setattr("queue_agent.worker._STORING_S", 0.05)
    agent = Agent(0)
    agent.queue.waiting = [message]
    storing, _ = held(agent, "put")
    await run_until(agent, storing.is_set, grace_s=0.01)
    assert agent.queue.log == [("release", 0)]


async def test_a_worker_survives_a_message_that_it_cannot_even_release(message):
    agent = Agent(ServerError("away"), picture())
    agent.queue.waiting = [message, message]

    async def broken(message, delay_s=0):
        raise PlatformError("sqs:ChangeMessageVisibility failed")

    agent.queue.release = broken
    await run_until(agent, lambda: agent.queue.log)
    assert agent.queue.log == ["delete"]


async def test_the_pod_is_marked_busy_while_there_is_a_message_and_idle_after(message):
    agent = Agent(0.01)
    agent.queue.waiting = [message]
    running, stop = worker_of(agent)
    await agent.server.started.wait()
    assert agent.annotator.noted == ["busy"]
    await until(lambda: len(agent.annotator.noted) > 1)
    assert agent.annotator.noted == ["busy", "idle"]
    stop.set()
    await running


async def test_a_lost_model_server_has_its_jobs_released_and_no_message_is_received_until_it_is_back(message):
    agent = Agent(300, picture())
    agent.queue.waiting = [message]
    running, stop = worker_of(agent)
    await agent.server.started.wait()
    lose(agent.monitor)
    await until(lambda: agent.queue.log)
    assert agent.queue.log == [("release", 0)]
    agent.queue.waiting = [message]
    await asyncio.sleep(0.05)
    assert agent.queue.waiting
    find(agent.monitor)
    await until(lambda: len(agent.queue.log) > 1)
    assert agent.queue.log[-1] == "delete"
    stop.set()
    await running


async def test_a_job_that_is_being_released_when_its_server_is_lost_is_released_once_with_its_attempt(message):
    agent = Agent(ServerError("nonsense"))
    agent.queue.waiting = [message]
    releasing, go_on = held(agent, "release")
    running, stop = worker_of(agent)
    await releasing.wait()
    lose(agent.monitor)
    await asyncio.sleep(0.01)
    go_on.set()
    stop.set()
    await running
    assert agent.jobs.writes.count(("release", 1, "counted")) == 1
    assert agent.queue.log == [("release", 5)]


async def test_a_job_that_is_cancelled_again_and_again_is_released_all_the_same(message):
    agent = Agent(300)
    _, go_on = held(agent, "release")
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

    async def broken():
        raise RuntimeError("a bug")

    agent.monitor.look = broken
    agent.monitor._seen_s -= 60
    running, _ = worker_of(agent)
    with pytest.raises(RuntimeError, match="a bug"):
        await running
