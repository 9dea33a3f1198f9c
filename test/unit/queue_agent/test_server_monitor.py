"""The server monitor, with its clock and its model server in memory."""

import asyncio
import logging

import pytest

from queue_agent.errors import ServerError, ServerLoading
from queue_agent.server_monitor import ServerMonitor, ServerState

STALL_S = 60
REFUSED = ServerError("The model server does not answer (ConnectError).")


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Server:
    """Answers probes, unless there is an error to raise or the answer is withheld."""

    def __init__(self):
        self.error = None
        self.silent = False
        self.token = None
        self.probes = 0

    async def probe(self):
        self.probes += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return self.token


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def monitor(server, clock):
    return ServerMonitor(server.probe, stall_s=STALL_S, url="http://127.0.0.1:7860", clock=clock)


@pytest.fixture
def looking(monitor, clock):
    """Let time pass as the monitor's task does: a probe every two seconds."""

    async def look_for(seconds):
        for _ in range(round(seconds / 2)):
            clock.now_s += 2
            await monitor.look()

    return look_for


def state_of(monitor):
    """The state, after a check that the two events agree with it and with each other."""
    state = monitor.health().state
    assert monitor.lost.is_set() is (state in {ServerState.LOST, ServerState.HUNG})
    assert monitor.usable.is_set() is not monitor.lost.is_set()
    return state


# Away and lost


async def test_a_server_is_away_after_one_failed_probe_and_lost_after_twenty_seconds_without_an_answer(
    monitor, server, looking
):
    assert (state_of(monitor), monitor.health().alive) == (ServerState.ALIVE, True)
    server.error = REFUSED
    await looking(20)
    assert (state_of(monitor), monitor.health().alive) == (ServerState.AWAY, False)
    await looking(2)
    assert state_of(monitor) is ServerState.LOST
    await looking(8)
    assert monitor.health().reason == "No good answer for 28 s: The model server does not answer (ConnectError)."
    server.error = None
    await looking(2)
    assert state_of(monitor) is ServerState.ALIVE


async def test_an_answer_that_cannot_be_read_counts_as_none_and_is_logged_once(monitor, server, looking, caplog):
    server.error = KeyError("workers")
    await looking(60)
    assert state_of(monitor) is ServerState.LOST
    assert "cannot be read (KeyError)" in monitor.health().reason
    assert sum(record.exc_info is not None for record in caplog.records) == 1


async def test_an_agent_that_was_frozen_for_long_does_not_blame_the_server(monitor, server, clock, looking):
    server.error = REFUSED
    await looking(2)
    clock.now_s += 3600
    assert state_of(monitor) is ServerState.AWAY
    server.error = None
    await monitor.look()
    assert state_of(monitor) is ServerState.ALIVE


async def test_a_job_that_moves_shows_that_the_server_works_though_probes_fail(monitor, server, looking):
    monitor.job_started("a")
    server.error = REFUSED
    await looking(30)
    monitor.job_moved("a")
    assert state_of(monitor) is ServerState.ALIVE


async def test_a_probe_that_fails_while_a_job_moves_does_not_count(server, clock):
    async def probe():
        clock.now_s += 1
        monitor.job_moved("a")
        raise ServerError

    monitor = ServerMonitor(probe, stall_s=STALL_S, clock=clock)
    monitor.job_started("a")
    await monitor.look()
    assert state_of(monitor) is ServerState.ALIVE


async def test_a_server_that_loads_its_model_cannot_be_used_like_one_that_is_lost_but_is_alive(
    monitor, server, looking
):
    server.error = ServerLoading("The model server loads its model.")
    await looking(20)
    assert (monitor.health().state, monitor.lost.is_set()) == (ServerState.LOADING, False)
    await looking(2)
    assert (monitor.health().state, monitor.lost.is_set()) == (ServerState.LOADING, True)
    assert monitor.health().alive
    server.error = REFUSED
    await looking(2)
    assert state_of(monitor) is ServerState.LOST
    server.error = None
    await looking(2)
    assert state_of(monitor) is ServerState.ALIVE


# Hung


async def test_a_job_that_never_starts_on_a_server_that_answers_makes_it_hung(monitor, looking):
    """ComfyUI's dead worker thread: /prompt, /queue and /history all answer 200, and nothing ever runs."""
    monitor.job_started("a")
    await looking(STALL_S - 2)
    assert state_of(monitor) is ServerState.ALIVE
    await looking(2)
    assert state_of(monitor) is ServerState.HUNG
    assert monitor.health().reason == "The model server at http://127.0.0.1:7860 hangs (a, 60 s). Restart it."


async def test_a_server_whose_running_job_moves_or_whose_token_changes_is_not_hung(monitor, server, looking):
    monitor.job_started("running")
    monitor.job_started("waiting")
    for number in range(10):
        await looking(STALL_S - 2)
        monitor.job_moved("running")
        await looking(STALL_S - 2)
        server.token = number
        await looking(2)
    assert state_of(monitor) is ServerState.ALIVE


async def test_time_without_jobs_does_not_count_but_jobs_given_up_do_not_start_it_again(monitor, looking):
    for job in "abc":
        monitor.job_started(job)
        await looking(STALL_S / 3 - 2)
        monitor.job_ended(job, answered=False)
        await looking(10 * STALL_S)
    monitor.job_started("d")
    await looking(4)
    assert state_of(monitor) is ServerState.ALIVE
    await looking(2)
    assert state_of(monitor) is ServerState.HUNG


async def test_a_hung_server_stays_hung_when_its_job_is_given_up_until_its_token_changes(monitor, server, looking):
    monitor.job_started("a")
    await looking(STALL_S)
    monitor.job_ended("a", answered=False)
    monitor.job_moved("b")
    monitor.job_ended("b", answered=True)
    await looking(10 * STALL_S)
    assert state_of(monitor) is ServerState.HUNG
    assert "(a, 60 s)" in monitor.health().reason
    server.token = "restarted"
    await looking(2)
    assert state_of(monitor) is ServerState.ALIVE


async def test_a_hung_server_that_refused_a_probe_was_restarted_and_one_that_was_slow_was_not(
    monitor, server, looking, monkeypatch
):
    monkeypatch.setattr("queue_agent.server_monitor._PROBE_TIMEOUT_S", 0.01)
    monitor.job_started("a")
    await looking(STALL_S)
    server.silent = True
    await looking(2)
    server.silent = False
    await looking(2)
    assert state_of(monitor) is ServerState.HUNG
    server.error = REFUSED
    await looking(2)
    server.error = None
    await looking(STALL_S - 2)
    assert state_of(monitor) is ServerState.ALIVE


# Warnings


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if "may hang" in record.getMessage()]


@pytest.mark.parametrize(("forecast_s", "warned_after_s"), [(1, 30), (15, 46)])
async def test_a_job_without_progress_for_three_times_its_forecast_is_warned_of_once(
    clock, server, caplog, forecast_s, warned_after_s
):
    monitor = ServerMonitor(server.probe, stall_s=240, url="http://127.0.0.1:7860", clock=clock)
    monitor.job_started("a")
    monitor.job_began("a", forecast_s)
    for _ in range(60):
        clock.now_s += 2
        await monitor.look()
        if clock.now_s - 1000 < warned_after_s:
            assert not warnings(caplog)
    assert state_of(monitor) is ServerState.ALIVE
    assert warnings(caplog) == [
        f"the model server at http://127.0.0.1:7860 may hang: a shows no progress for {warned_after_s} s. "
        "Look at its log; restart it if it does not go on"
    ]


async def test_each_change_of_state_is_logged_once(monitor, server, looking, caplog):
    caplog.set_level(logging.INFO)
    server.error = REFUSED
    await looking(60)
    server.error = None
    await looking(60)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "the model server is away"),
        (logging.WARNING, "the model server is lost"),
        (logging.INFO, "the model server is alive"),
    ]


# The task


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def started(monitor):
    task = monitor.start()
    await turns()
    yield
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(("idle_s", "probes"), [(1.9, 0), (2, 1), (9, 1)])
async def test_a_job_has_the_server_probed_as_soon_as_nothing_was_heard_for_an_interval(
    monitor, server, clock, idle_s, probes
):
    clock.now_s += idle_s
    monitor.job_started("a")
    await turns()
    assert server.probes == probes
