import asyncio
import contextlib
import logging
import time

import pytest

from queue_agent import watch as watch_module
from queue_agent.errors import ModelServerFault
from queue_agent.watch import ModelServerWatch, State

STALL_S = 60


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Server:
    """What a probe meets: answers, unless there is a fault to raise or the answer is withheld."""

    def __init__(self):
        self.fault = None
        self.silent = False
        self.probes = 0

    async def probe(self):
        self.probes += 1
        if self.silent:
            await asyncio.sleep(60)
        if self.fault:
            raise self.fault


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def watch(server, clock):
    return ModelServerWatch(server.probe, stall_s=STALL_S, clock=clock)


@pytest.fixture
def looking(watch, clock):
    """Let time pass as the watch's task does: a probe every two seconds."""

    async def look_for(seconds):
        for _ in range(round(seconds / 2)):
            clock.now_s += 2
            await watch.look()

    return look_for


def refuse(server):
    server.fault = ModelServerFault("The model server does not answer (ConnectError).")


def state_of(watch):
    """The state, after a check that the two events agree with it and with each other."""
    state = watch.verdict().state
    assert watch.lost.is_set() is (state in {State.LOST, State.HUNG})
    assert watch.usable.is_set() is not watch.lost.is_set()
    return state


def test_a_server_nobody_has_asked_yet_is_taken_for_alive(watch):
    assert state_of(watch) is State.ALIVE
    assert watch.verdict().alive


# dead


async def test_one_failed_probe_is_noticed_and_loses_nothing(watch, server):
    refuse(server)
    await watch.look()
    assert state_of(watch) is State.AWAY
    assert not watch.verdict().alive


async def test_a_server_without_an_answer_for_twenty_seconds_is_lost_and_not_before(watch, server, looking):
    refuse(server)
    await looking(20)
    assert state_of(watch) is State.AWAY
    await looking(2)
    assert state_of(watch) is State.LOST


async def test_the_reason_tells_for_how_long_and_in_the_servers_words(watch, server, clock, looking):
    refuse(server)
    await looking(30)
    assert watch.verdict().reason == "No good answer for 28 s: The model server does not answer (ConnectError)."


async def test_a_lost_server_that_answers_is_back_at_once(watch, server, looking):
    refuse(server)
    await looking(40)
    server.fault = None
    await looking(2)
    assert state_of(watch) is State.ALIVE


async def test_silence_is_counted_anew_after_an_answer(watch, server, looking):
    for _ in range(5):
        refuse(server)
        await looking(18)
        server.fault = None
        await looking(2)
    assert state_of(watch) is State.ALIVE


async def test_a_server_that_takes_the_connection_and_says_nothing_is_away(watch, server, monkeypatch):
    monkeypatch.setattr(watch_module, "_PROBE_TIMEOUT_S", 0.01)
    server.silent = True
    await watch.look()
    assert state_of(watch) is State.AWAY
    assert "did not answer" in watch.verdict().reason


async def test_an_agent_that_was_frozen_for_long_does_not_accuse_the_server(watch, server, clock, looking):
    refuse(server)
    await looking(2)
    clock.now_s += 3600
    assert state_of(watch) is State.AWAY
    server.fault = None
    await watch.look()
    assert state_of(watch) is State.ALIVE


async def test_a_job_that_moves_proves_that_the_server_lives_though_probes_fail(watch, server, looking):
    watch.job_started("a")
    refuse(server)
    await looking(30)
    watch.job_moved("a")
    assert state_of(watch) is State.ALIVE


async def test_a_probe_that_fails_while_a_job_moves_accuses_nobody(server, clock):
    async def probe():
        clock.now_s += 1
        watch.job_moved("a")
        raise ModelServerFault

    watch = ModelServerWatch(probe, stall_s=STALL_S, clock=clock)
    watch.job_started("a")
    await watch.look()
    assert state_of(watch) is State.ALIVE


# hung


async def test_a_job_that_never_starts_on_a_server_that_answers_makes_it_hung(watch, looking):
    """ComfyUI's dead worker thread: /prompt, /queue and /history all answer 200, and nothing ever runs."""
    watch.job_started("a")
    await looking(STALL_S - 2)
    assert state_of(watch) is State.ALIVE
    await looking(2)
    assert state_of(watch) is State.HUNG
    assert watch.verdict().reason == "The model server answers, but no job has moved for 60 s."


async def test_a_job_that_moves_now_and_then_is_not_stalled(watch, looking):
    watch.job_started("a")
    for _ in range(10):
        await looking(STALL_S - 2)
        watch.job_moved("a")
    assert state_of(watch) is State.ALIVE


async def test_a_job_that_waits_behind_a_moving_one_is_not_stalled(watch, looking):
    watch.job_started("running")
    watch.job_started("waiting")
    for _ in range(10):
        await looking(STALL_S / 2)
        watch.job_moved("running")
    assert state_of(watch) is State.ALIVE


async def test_a_job_that_does_not_follow_the_one_before_it_makes_the_server_hung(watch, looking):
    watch.job_started("a")
    await looking(STALL_S / 2)
    watch.job_started("b")
    watch.job_ended("a", answered=True)
    await looking(STALL_S - 2)
    assert state_of(watch) is State.ALIVE
    await looking(2)
    assert state_of(watch) is State.HUNG


async def test_a_server_without_jobs_is_never_hung(watch, looking):
    await looking(10 * STALL_S)
    watch.job_started("a")
    watch.job_ended("a", answered=True)
    await looking(10 * STALL_S)
    assert state_of(watch) is State.ALIVE


async def test_a_hung_server_stays_hung_when_its_job_is_given_up(watch, looking):
    watch.job_started("a")
    await looking(STALL_S)
    watch.job_ended("a", answered=False)
    await looking(10 * STALL_S)
    assert state_of(watch) is State.HUNG
    assert "for 60 s" in watch.verdict().reason


async def test_a_hung_server_is_alive_again_when_its_job_moves_or_ends(watch, looking):
    watch.job_started("a")
    await looking(STALL_S)
    watch.job_moved("a")
    assert state_of(watch) is State.ALIVE
    await looking(STALL_S)
    watch.job_ended("a", answered=True)
    assert state_of(watch) is State.ALIVE


async def test_a_hung_server_that_was_restarted_is_alive_though_the_job_is_still_noted(watch, server, looking):
    watch.job_started("a")
    await looking(STALL_S)
    refuse(server)
    await looking(2)
    assert state_of(watch) is State.LOST
    server.fault = None
    await looking(STALL_S - 2)
    assert state_of(watch) is State.ALIVE


async def test_a_hung_server_that_was_slow_to_answer_once_is_still_hung(watch, server, looking, monkeypatch):
    monkeypatch.setattr(watch_module, "_PROBE_TIMEOUT_S", 0.01)
    watch.job_started("a")
    await looking(STALL_S)
    server.silent = True
    await looking(2)
    server.silent = False
    await looking(2)
    assert state_of(watch) is State.HUNG


async def test_jobs_given_up_one_after_the_other_do_not_keep_a_dead_server_young(watch, looking):
    for job in "abc":
        watch.job_started(job)
        await looking(STALL_S / 3)
        watch.job_ended(job, answered=False)
    watch.job_started("d")
    await watch.look()
    assert state_of(watch) is State.HUNG


async def test_time_without_jobs_is_no_stillness(watch, looking):
    watch.job_started("a")
    await looking(10)
    watch.job_ended("a", answered=False)
    await looking(10 * STALL_S)
    watch.job_started("b")
    await looking(STALL_S - 12)
    assert state_of(watch) is State.ALIVE
    await looking(2)
    assert state_of(watch) is State.HUNG


async def test_of_several_jobs_the_most_patient_limit_counts(watch, looking):
    watch.job_started("a")
    watch.job_started("b", stall_s=2 * STALL_S)
    await looking(2 * STALL_S - 2)
    assert state_of(watch) is State.ALIVE
    await looking(2)
    assert state_of(watch) is State.HUNG


async def test_notes_of_a_job_that_is_not_held_change_nothing(watch, looking):
    watch.job_started("a")
    await looking(STALL_S)
    watch.job_moved("b")
    watch.job_ended("b", answered=True)
    assert state_of(watch) is State.HUNG


# the task


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
    watch = ModelServerWatch(server.probe, stall_s=STALL_S, interval_s=0.01)
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
    watch = ModelServerWatch(server.probe, stall_s=STALL_S, interval_s=0.002)
    async with started(watch), asyncio.timeout(5):
        await watch.lost.wait()
        server.fault = None
        await watch.usable.wait()
        assert state_of(watch) is State.ALIVE


async def test_a_watch_that_breaks_ends_with_its_error_and_says_so_in_the_log(caplog):
    async def probe():
        raise ZeroDivisionError

    watch = ModelServerWatch(probe, stall_s=STALL_S, interval_s=0.001)
    task = watch.start()
    await asyncio.wait({task}, timeout=5)
    assert isinstance(task.exception(), ZeroDivisionError)
    assert task.get_name() == "model-server-watch"
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


async def test_each_change_is_logged_once(watch, server, looking, caplog):
    refuse(server)
    await looking(60)
    server.fault = None
    await looking(60)
    assert [record.getMessage() for record in caplog.records] == [
        "the model server is away",
        "the model server is lost",
        "the model server is alive",
    ]


# signs of life


async def test_a_server_whose_signs_change_works_whatever_its_jobs_tell(watch, server, clock):
    signs = iter(range(1000))

    async def probe():
        return next(signs)

    watch._probe = probe
    watch.job_started("j")
    for _ in range(STALL_S):
        clock.now_s += 2
        await watch.look()
    assert state_of(watch) is State.ALIVE


async def test_a_hung_server_whose_signs_change_is_another_one_although_nobody_saw_it_away(watch, server, looking):
    watch.job_started("j")
    await looking(STALL_S + 2)
    watch.job_ended("j", answered=False)
    assert state_of(watch) is State.HUNG

    async def probe():
        return "restarted"

    watch._probe = probe
    await watch.look()
    assert state_of(watch) is State.ALIVE
