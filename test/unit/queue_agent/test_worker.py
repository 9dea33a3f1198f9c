import asyncio

import pytest
from agentkit import JOB, Agent, Table, picture, worker_of

from queue_agent import worker as worker_module
from queue_agent.errors import PlatformError, ServerError
from queue_agent.ports import Work


async def test_a_worker_rids_the_server_of_what_a_former_agent_left_before_it_takes_anything(message):
    agent = Agent(picture())
    agent.queue.waiting = [message]
    receive, cleared = agent.queue.receive, []

    async def noted(most):
        cleared.append(agent.server.cleared)
        return await receive(most)

    agent.queue.receive = noted
    running, stop = worker_of(agent)
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 1)
    assert cleared
    assert all(cleared)


async def test_a_worker_survives_a_server_that_makes_no_sense_when_it_is_rid_of_what_was_left(message, monkeypatch):
    monkeypatch.setattr("queue_agent.worker._PAUSE_AFTER_FAULT_S", 0)
    agent = Agent(picture())
    agent.queue.waiting = [message]
    answers = [AttributeError("'list' object has no attribute 'get'"), None]

    async def clear():
        if answer := answers.pop(0):
            raise answer

    agent.server.clear = clear
    running, stop = worker_of(agent)
    while not agent.queue.log:  # noqa: ASYNC110 (what is waited for is no event)
        await asyncio.sleep(0.001)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert agent.queue.log == ["delete"]


async def test_a_stopped_worker_drops_its_long_poll_at_once():
    agent = Agent()
    running, stop = worker_of(agent)
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 0.5)


async def test_a_stopped_worker_finishes_its_job_within_the_grace_and_takes_no_other(message):
    agent = Agent(0.2, 0.2)
    agent.queue.waiting = [message, message]
    running, stop = worker_of(agent)
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 1)
    assert agent.queue.log == ["delete"]
    assert len(agent.queue.waiting) == 1


async def test_a_stopped_worker_gives_back_a_job_that_outlasts_the_grace(message):
    agent = Agent(30)
    agent.queue.waiting = [message]
    running, stop = worker_of(agent, grace_s=0.1)
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 1)
    assert agent.server.interrupted == [JOB]
    assert agent.queue.log == [("release", 0)]


async def test_a_stopped_worker_waits_for_what_is_still_being_given_back_when_the_grace_ends(message):
    agent = Agent()
    preparing, release = asyncio.Event(), agent.queue.release

    async def endless_prepare(*_):
        preparing.set()
        await asyncio.sleep(60)

    async def slow_release(*arguments):
        await asyncio.sleep(0.3)
        await release(*arguments)

    agent.server.prepare, agent.queue.release = endless_prepare, slow_release
    agent.queue.waiting = [message]
    running, stop = worker_of(agent, grace_s=0.05)
    await preparing.wait()
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 2)
    assert agent.queue.log == [("release", 0)]


async def test_a_stopped_worker_stores_what_was_drawn_sooner_than_foretold(message):
    agent = Agent(0.1, 0.01)
    place = agent.line.join()
    place.ready(Work("kind", 1), None)
    await place.take_turn()
    place.started()
    place.batch._began_s -= 1000  # so long did the last job of the kind take
    place.freed()
    place.leave()
    storing = asyncio.Event()
    put = agent.store.put

    async def slow_put(*arguments, **keywords):
        storing.set()
        await asyncio.sleep(0.2)
        await put(*arguments, **keywords)

    agent.store.put = slow_put
    agent.queue.waiting = [message]
    running, stop = worker_of(agent, grace_s=2)
    await storing.wait()
    stop.set()
    await asyncio.wait_for(running, 3)
    assert agent.queue.log == ["delete"]


async def test_what_is_drawn_when_the_grace_ends_is_stored_all_the_same(message):
    agent = Agent(0.01)
    put, storing = agent.store.put, asyncio.Event()

    async def slow_put(*arguments, **keywords):
        storing.set()
        await asyncio.sleep(0.3)
        await put(*arguments, **keywords)

    agent.store.put = slow_put
    agent.queue.waiting = [message]
    running, stop = worker_of(agent, grace_s=0.05)
    await storing.wait()
    stop.set()
    await asyncio.wait_for(running, 2)
    assert agent.queue.log == ["delete"]


async def test_what_cannot_be_stored_soon_after_the_grace_is_given_back(message, monkeypatch):
    monkeypatch.setattr(worker_module, "_STORING_S", 0.05)
    agent = Agent(0.01)
    storing = asyncio.Event()

    async def endless_put(*_, **__):
        storing.set()
        await asyncio.sleep(60)

    agent.store.put = endless_put
    agent.queue.waiting = [message]
    running, stop = worker_of(agent, grace_s=0.05)
    await storing.wait()
    stop.set()
    await asyncio.wait_for(running, 2)
    assert agent.queue.log == [("release", 0)]


async def test_a_worker_survives_a_message_that_it_cannot_even_give_back(message):
    agent = Agent(ServerError("away"), picture())
    agent.queue.waiting = [message, message]

    async def broken(message, delay_s=0):
        raise PlatformError("sqs:ChangeMessageVisibility failed")

    agent.queue.release = broken
    running, stop = worker_of(agent)
    await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait_for(running, 1)
    assert agent.queue.log == ["delete"]


async def test_a_worker_is_marked_busy_while_it_holds_a_message_and_idle_after(message):
    agent = Agent(0.1)
    agent.queue.waiting = [message]
    running, stop = worker_of(agent)
    await asyncio.sleep(0.05)
    assert agent.mark.told == ["busy"]
    await asyncio.sleep(0.2)
    assert agent.mark.told == ["busy", "idle"]
    stop.set()
    await asyncio.wait_for(running, 1)


async def test_a_lost_model_server_gives_its_jobs_back_and_no_message_is_taken_until_it_is_back(message):
    agent = Agent(30, picture())
    agent.queue.waiting = [message]
    running, stop = worker_of(agent)
    await asyncio.sleep(0.05)
    watch = agent.watch
    watch.usable.clear()
    watch.lost.set()
    await asyncio.sleep(0.05)
    assert agent.queue.log == [("release", 0)]
    agent.queue.waiting = [message]
    await asyncio.sleep(0.05)
    assert agent.queue.waiting
    watch.lost.clear()
    watch.usable.set()
    await asyncio.sleep(0.1)
    assert agent.queue.log[-1] == "delete"
    stop.set()
    await asyncio.wait_for(running, 1)


async def test_a_watch_that_dies_ends_the_worker_loudly():
    agent = Agent()

    async def broken():
        raise RuntimeError("a bug")

    agent.watch.look = broken
    agent.watch._seen_s -= 60
    running, _ = worker_of(agent)
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(running, 1)


async def test_a_job_that_is_being_given_back_when_its_server_is_lost_is_not_torn_from_that(message):
    agent = Agent(ServerError("nonsense"), jobs=Table())
    agent.queue.waiting = [message]
    giving_back, go_on = asyncio.Event(), asyncio.Event()
    release = agent.queue.release

    async def slowly(message, delay_s=0):
        giving_back.set()
        await go_on.wait()
        await release(message, delay_s)

    agent.queue.release = slowly
    running, stop = worker_of(agent)
    await asyncio.wait_for(giving_back.wait(), 5)
    agent.watch.usable.clear()
    agent.watch.lost.set()
    await asyncio.sleep(0.01)
    go_on.set()
    stop.set()
    await asyncio.wait_for(running, 5)
    assert agent.jobs.writes.count(("hand back", 1, "counted")) == 1
    assert agent.queue.log == [("release", 5)]


async def test_a_job_that_is_cancelled_again_and_again_is_given_back_all_the_same(message):
    agent = Agent(30, jobs=Table())
    go_on = asyncio.Event()
    release = agent.queue.release

    async def slowly(message, delay_s=0):
        await go_on.wait()
        await release(message, delay_s)

    agent.queue.release = slowly
    job = asyncio.create_task(agent.handle(message))
    while not agent.server.runs:  # noqa: ASYNC110 (what is waited for is no event)
        await asyncio.sleep(0)
    for _ in range(5):
        job.cancel()
        await asyncio.sleep(0.001)
    go_on.set()
    await asyncio.wait({job})
    assert job.cancelled()
    assert agent.server.interrupted == [JOB]
    assert agent.queue.log == [("release", 0)]


async def test_a_worker_survives_an_error_that_nobody_foresaw_when_it_takes_messages(message, monkeypatch):
    monkeypatch.setattr("queue_agent.worker._PAUSE_AFTER_FAULT_S", 0)
    agent = Agent(picture())
    agent.queue.waiting = [message]
    receive = agent.queue.receive

    async def broken(most=1):
        agent.queue.receive = receive
        raise KeyError("Messages")

    agent.queue.receive = broken
    running, stop = worker_of(agent)
    while not agent.queue.log:  # noqa: ASYNC110 (what is waited for is no event)
        await asyncio.sleep(0.001)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert agent.queue.log == ["delete"]
