"""How the server watches a worker. The process and the event loop's clock are fakes."""

import asyncio
import itertools
import os
import signal
import threading

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.ports import DeviceStatus
from runtimes.flux.server.settings import FluxSettings
from runtimes.flux.server.worker import handle as module
from runtimes.flux.server.worker.handle import WorkerHandle, WorkerState
from runtimes.flux.server.worker.protocol import (
    BatchProgress,
    BatchStarted,
    DeviceFreed,
    WorkerFailed,
    WorkerReady,
    packed,
)

OPTIONS = ModelOptions(profile="flux-schnell")
DEVICE = DeviceStatus(name="cuda:0", memory_bytes=0, peak_bytes=0, host_peak_bytes=0, max_pixels=4 * 64 * 64)
READY, FREED, STEP = WorkerReady(OPTIONS.card, DEVICE), DeviceFreed(1, (), 0, 0, DEVICE), BatchProgress(1, 0.5, 1, 2)
SETTINGS = FluxSettings(MODEL_OPTIONS='{"profile": "flux-schnell"}')


class FakeProcess:
    """A scripted process with its streams and its transport."""

    def __init__(self, words):
        self.reader, self.transport = asyncio.StreamReader(), self
        self.returncode = None
        self._dead = asyncio.Event()
        self.say(*words)

    def say(self, *words):
        for word in words:
            self.die() if word is None else self.reader.feed_data(packed(word))

    def die(self):
        self.returncode = -9
        self._dead.set()

    async def wait(self):
        await self._dead.wait()
        return self.returncode

    def abort(self):
        self.reader.feed_eof()

    def write(self, content):
        pass

    def close(self):
        pass


class Clock:
    """The event loop's clock; ``pass_s`` advances it and runs what is due."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)

    async def pass_s(self, seconds):
        await self.settle()
        self.now += seconds
        await self.settle()

    async def settle(self):
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
async def live(clock, monkeypatch):
    """Runs a worker whose lives are lists of messages; returns the handle, the processes, and the reasons of losses."""
    tasks = []

    async def begin(*lives):
        words, processes, losses, heard = iter(lives), [], [], []

        async def started(_number):
            processes.append(FakeProcess(next(words, ())))
            return processes[-1], processes[-1].reader, processes[-1]

        monkeypatch.setattr(module, "_started", started)
        monkeypatch.setattr(module, "_kill", FakeProcess.die)
        handle = WorkerHandle(
            SETTINGS, 0, lambda _, message: heard.append(message), lambda handle, _: losses.append(handle.loss)
        )
        handle.heard = heard
        tasks.append(asyncio.create_task(handle.run()))
        await clock.settle()
        return handle, processes, losses

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_worker_that_is_not_ready_in_time_is_killed(live, clock):
    handle, _, losses = await live(())
    await clock.pass_s(1799)
    assert (handle.state, losses) == (WorkerState.STARTING, [])
    await clock.pass_s(2)
    assert losses == ["the worker showed no sign of life for 1800 s and was ended"]


async def test_an_idle_worker_may_be_silent_before_its_first_batch_and_after_its_last(live, clock):
    handle, _, losses = await live((READY,))
    await clock.pass_s(10_000)
    assert (handle.state, losses) == (WorkerState.READY, [])
    handle.assign(1, [])
    batch = handle.batches[1]
    batch.freed = True
    handle.tidy(batch)
    await clock.pass_s(10_000)
    assert (handle.state, handle.batches, losses) == (WorkerState.READY, {}, [])


async def test_a_silent_busy_worker_is_killed_even_if_it_gets_more_work(live, clock):
    handle, _, losses = await live((READY,))
    handle.assign(1, [])
    await clock.pass_s(100)
    handle.assign(2, [])
    await clock.pass_s(21)
    assert losses == ["the worker showed no sign of life for 120 s and was ended"]


async def test_a_slow_worker_may_be_silent_for_three_times_its_longest_silence(live, clock):
    handle, processes, losses = await live((READY,), (READY,))
    handle.assign(1, [])
    await clock.pass_s(100)
    processes[0].say(STEP)
    await clock.pass_s(299)
    assert losses == []
    await clock.pass_s(2)
    assert len(losses) == 1
    await clock.pass_s(1)
    handle.assign(2, [])
    await clock.pass_s(121)
    assert len(losses) == 2


async def test_after_a_batch_the_restart_comes_at_once_and_otherwise_after_growing_delays(live, clock):
    handle, processes, _ = await live((READY, FREED, None), *itertools.repeat((READY, None), 11))
    await clock.pass_s(0.5)
    assert (len(processes), handle.restarts, handle.state) == (2, 1, WorkerState.READY)
    delays = []
    for lives in range(2, 11):
        await clock.pass_s(0.5)  # for the last messages
        started = clock.now
        while len(processes) == lives:
            await clock.pass_s(0.5)
        delays.append(clock.now - started)
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("for_good", "lives"), [(True, 1), (False, 5)])
async def test_a_worker_is_given_up_if_its_model_is_refused_or_after_five_failed_starts(live, clock, for_good, lives):
    handle, processes, losses = await live(*itertools.repeat((WorkerFailed("needs a GPU", for_good), None), 9))
    while not handle.given_up:
        await clock.pass_s(1)
    await clock.pass_s(1000)
    assert (handle.state, losses, len(processes)) == (WorkerState.DOWN, ["needs a GPU"] * lives, lives)


async def test_the_last_messages_of_a_worker_count_and_its_loss_is_shown_until_it_is_ready_again(live, clock):
    last = BatchStarted(1, 0.0, {})
    handle, processes, losses = await live((READY, None, last))
    for _ in range(2):
        await clock.pass_s(0.5)
    assert handle.heard == [READY, last]
    assert losses == [handle.loss] == ["the worker was killed by signal 9"]
    processes[1].say(READY)
    await clock.settle()
    assert handle.loss is None


async def test_the_signal_that_killed_a_worker_is_known_even_if_the_handle_sees_its_end_first(monkeypatch):
    monkeypatch.setenv("MODEL_OPTIONS", SETTINGS.model_options.model_dump_json(by_alias=True))
    waitpid, pids, seen = os.waitpid, [], threading.Event()

    def late(pid, options):  # runs in asyncio's thread that waits for the process
        pids.append(pid)
        seen.wait()
        return waitpid(pid, options)

    monkeypatch.setattr(os, "waitpid", late)
    losses = []
    handle = WorkerHandle(SETTINGS, 0, lambda *_: None, lambda handle, _: losses.append(handle.loss))
    life = asyncio.create_task(handle.run())
    try:
        await until(lambda: handle.state is not WorkerState.DOWN)
        os.kill(pids[0], signal.SIGKILL)
        await until(lambda: handle.state is WorkerState.DOWN)
        seen.set()
        await until(lambda: losses)
    finally:
        seen.set()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
    assert losses == ["the worker was killed by signal 9"]


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (a handle has no event for its state)
            await asyncio.sleep(0.001)
