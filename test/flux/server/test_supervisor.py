"""How a worker's life is watched; the process is played."""

import asyncio
import itertools

import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server import supervisor as module
from runtimes.flux.server.messages import Assignment, Freed, GivenUp, Ready, Stepped
from runtimes.flux.server.ports import Device
from runtimes.flux.server.supervisor import Limits, Supervisor, WorkerState

OPTIONS = ModelOptions(profile="flux-schnell")
DEVICE = Device(name="cuda:0", memory_bytes=0, peak_bytes=0, host_peak_bytes=0)
READY = Ready(card_of(OPTIONS, FAMILIES["flux"]), DEVICE)
REAL_SLEEP = asyncio.sleep
FREED = Freed(1, 0, 0, DEVICE)


class PlayedProcess:
    """A worker that says what it is told to, and then is silent; None is its death."""

    def __init__(self, words) -> None:
        self.words: asyncio.Queue = asyncio.Queue()
        for word in words:
            self.words.put_nowait(word)

    def send(self, message) -> None:
        pass

    async def next_message(self):
        return await self.words.get()

    def kill(self) -> None:
        self.words.put_nowait(None)

    async def buried(self) -> str:
        return "was killed by signal 9"


@pytest.fixture
def play(monkeypatch):
    """Plays lives of a worker, each by what it says; returns the supervisor and the reasons of its losses."""
    tasks = []

    def begin(lives, start_s=10.0, step_s=10.0):
        told = iter(lives)
        processes, losses = [], []

        async def start(_assignment):
            processes.append(PlayedProcess(next(told)))
            return processes[-1]

        monkeypatch.setattr(module.WorkerProcess, "start", start)
        assignment = Assignment(pipeline="a:b", options=OPTIONS, models=".", device=0, log_level="INFO")
        supervisor = Supervisor(
            assignment, Limits(start_s=start_s, step_s=step_s), lambda *_: None, lambda _, reason: losses.append(reason)
        )
        tasks.append(asyncio.create_task(supervisor.run()))
        return supervisor, processes, losses

    yield begin
    for task in tasks:
        task.cancel()


@pytest.fixture
def delays(monkeypatch):
    """What the supervisor sleeps; it costs no time."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        await REAL_SLEEP(0)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return slept


async def soon(condition):
    async with asyncio.timeout(5):
        while not condition():
            await REAL_SLEEP(0.005)


async def test_a_worker_that_is_not_ready_in_time_is_ended(play):
    _, _, losses = play([[], []], start_s=0.05)
    await soon(lambda: losses)
    assert "no sign of life" in losses[0]


async def test_a_ready_worker_without_work_may_be_silent(play):
    supervisor, _, losses = play([[READY]], start_s=0.05, step_s=0.05)
    await asyncio.sleep(0.2)
    assert (supervisor.state, losses) == (WorkerState.READY, [])


async def test_a_busy_worker_that_is_silent_is_ended(play):
    supervisor, _, losses = play([[READY], [READY]], step_s=0.05)
    await soon(lambda: supervisor.state is WorkerState.READY)
    supervisor.expect(work=True)
    await soon(lambda: losses)
    assert "no sign of life" in losses[0]


async def test_a_slow_worker_is_given_more_time_once_its_speed_is_known(play):
    supervisor, processes, losses = play([[READY], [READY]], step_s=0.4)
    await soon(lambda: supervisor.state is WorkerState.READY)
    supervisor.expect(work=True)
    await asyncio.sleep(0.25)
    processes[0].words.put_nowait(Stepped(1, 0.5))
    await asyncio.sleep(0.55)
    assert losses == []
    await soon(lambda: losses)


async def test_one_step_of_nearly_the_limit_makes_the_next_hang_at_most_about_three_times_as_long(play):
    supervisor, processes, losses = play([[READY], [READY]], step_s=0.3)
    await soon(lambda: supervisor.state is WorkerState.READY)
    supervisor.expect(work=True)
    await asyncio.sleep(0.2)
    processes[0].words.put_nowait(Stepped(1, 0.5))
    await asyncio.sleep(1.2)
    assert losses


async def test_what_was_seen_of_a_workers_speed_dies_with_its_process(play, delays):
    supervisor, processes, losses = play([[READY], [READY], [READY]], step_s=0.3)
    await soon(lambda: supervisor.state is WorkerState.READY)
    supervisor.expect(work=True)
    await REAL_SLEEP(0.2)
    processes[0].words.put_nowait(Stepped(1, 0.5))
    processes[0].words.put_nowait(None)
    await soon(lambda: len(processes) == 2 and supervisor.state is WorkerState.READY)
    supervisor.expect(work=True)
    await REAL_SLEEP(0.45)
    assert len(losses) == 2


async def test_more_work_is_no_sign_of_life(play):
    supervisor, _, losses = play([[READY], [READY]], step_s=0.2)
    await soon(lambda: supervisor.state is WorkerState.READY)
    for _ in range(4):
        supervisor.expect(work=True)
        await asyncio.sleep(0.1)
    assert losses


async def test_a_worker_without_work_may_be_silent_again_once_it_had_some(play):
    supervisor, processes, losses = play([[READY]], step_s=0.1)
    await soon(lambda: supervisor.state is WorkerState.READY)
    supervisor.expect(work=True)
    processes[0].words.put_nowait(FREED)
    supervisor.expect(work=False)
    await asyncio.sleep(0.3)
    assert (supervisor.state, losses) == (WorkerState.READY, [])


async def test_a_worker_that_is_told_it_has_no_work_still_has_to_become_ready(play):
    supervisor, processes, losses = play([[], []], start_s=0.1)
    await soon(lambda: processes)
    supervisor.expect(work=False)
    await soon(lambda: losses)


async def test_fruitless_lives_are_further_and_further_apart(play, delays):
    _, _, losses = play(itertools.repeat([READY, None]))
    await soon(lambda: len(losses) > 9)
    assert delays[:9] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_after_a_batch_the_next_life_begins_at_once(play, delays):
    play([[READY, None], [READY, None], [READY, FREED, None], [READY]])
    await soon(lambda: len(delays) >= 3)
    assert delays[:3] == [0.5, 1, 0]


async def test_a_model_that_is_refused_is_not_tried_again(play, delays):
    supervisor, _, losses = play([[GivenUp("needs a GPU", for_good=True), None]])
    await soon(lambda: losses)
    assert supervisor.given_up
    assert (supervisor.loss, supervisor.state, delays) == ("needs a GPU", WorkerState.DOWN, [])


async def test_after_five_failed_starts_in_a_row_the_worker_is_given_up(play, delays):
    supervisor, _, losses = play(itertools.repeat([GivenUp("no memory", for_good=False), None]))
    await soon(lambda: supervisor.given_up)
    assert losses == ["no memory"] * 5


async def test_what_a_worker_died_of_is_told_until_it_is_ready_again(play, delays):
    supervisor, processes, losses = play([[READY, None], []])
    await soon(lambda: len(processes) > 1)
    assert losses == [supervisor.loss] == ["the worker was killed by signal 9"]
    processes[1].words.put_nowait(READY)
    await soon(lambda: supervisor.state is WorkerState.READY)
    assert supervisor.loss is None
