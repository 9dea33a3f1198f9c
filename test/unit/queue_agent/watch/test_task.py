"""The task that looks by itself."""

import asyncio
import contextlib
import logging
import time

import pytest
from watchkit import STALL_S, refuse, state_of

from queue_agent import server_monitor as watch_module
from queue_agent.server_monitor import ServerMonitor, State


@contextlib.asynccontextmanager
async def started(watch):
    task = watch.start()
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (what is waited for is no event)
            await asyncio.sleep(0.001)


async def test_an_idle_server_is_probed_a_fifth_as_often_as_one_with_a_job(server):
    watch = ServerMonitor(server.probe, stall_s=STALL_S, interval_s=0.01)
    async with started(watch):
        start_s = time.monotonic()
        await until(lambda: server.probes >= 2)
        assert time.monotonic() - start_s >= 2 * 5 * 0.01
        watch.job_started("a")
        await until(lambda: server.probes >= 4)


@pytest.mark.parametrize(("idle_s", "probes"), [(1.9, 0), (2, 1), (9, 1)])
async def test_a_job_has_the_server_probed_as_soon_as_nothing_was_heard_for_an_interval(
    watch, server, clock, idle_s, probes
):
    async with started(watch):
        await turns()
        clock.now_s += idle_s
        watch.job_started("a")
        await turns()
        assert server.probes == probes


async def test_a_server_whose_jobs_move_is_not_probed(watch, server, clock):
    async with started(watch):
        for number in range(20):
            watch.job_started(str(number))
            await turns()
            clock.now_s += 1.5
            watch.job_ended(str(number), answered=True)
            await turns()
        assert server.probes == 0


async def test_the_task_finds_a_server_lost_and_back_without_being_asked(server, monkeypatch):
    monkeypatch.setattr(watch_module, "_LOST_S", 0.02)
    refuse(server)
    watch = ServerMonitor(server.probe, stall_s=STALL_S, interval_s=0.002)
    async with started(watch), asyncio.timeout(5):
        await watch.lost.wait()
        server.fault = None
        await watch.usable.wait()
        assert state_of(watch) is State.ALIVE


async def test_an_answer_that_nobody_can_read_counts_as_none_and_the_watch_goes_on(watch, server, looking, caplog):
    server.fault = KeyError("workers")
    await looking(60)
    assert state_of(watch) is State.LOST
    assert "cannot be read (KeyError)" in watch.verdict().reason
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    server.fault = None
    await looking(60)
    assert state_of(watch) is State.ALIVE


async def test_a_watch_that_breaks_ends_with_its_error_and_says_so_in_the_log(caplog):
    async def look():
        raise ZeroDivisionError

    watch = ServerMonitor(look, stall_s=STALL_S, interval_s=0.001)
    watch.look = look
    watch._seen_s -= 60
    task = watch.start()
    await asyncio.wait({task}, timeout=5)
    assert isinstance(task.exception(), ZeroDivisionError)
    assert task.get_name() == "model-server-watch"
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


async def test_each_change_is_logged_once(watch, server, looking, caplog):
    caplog.set_level(logging.INFO)
    refuse(server)
    await looking(60)
    server.fault = None
    await looking(60)
    assert [record.getMessage() for record in caplog.records] == [
        "the model server is away",
        "the model server is lost",
        "the model server is alive",
    ]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING, logging.INFO]
