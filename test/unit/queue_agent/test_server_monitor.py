"""The server monitor, with its clock and its model server in memory."""

import asyncio
import logging

import pytest

from queue_agent.errors import ServerError, ServerLoading
from queue_agent.server_monitor import ServerMonitor, ServerState

ALIVE, LOADING, AWAY, LOST, HUNG = ServerState
STALL_S = 60
REFUSED = ServerError("The model server does not answer (ConnectError).")


class Rig:
    """A monitor and its server; seconds pass when told to.

    Attributes:
        answer: What the server answers to a probe, or the error that its answer becomes; None where it never answers.
    """

    def __init__(self):
        self.now_s = 1000.0
        self.answer = "token"
        self.probes = 0
        self.monitor = self.monitor_of()

    def monitor_of(self, **options):
        options = {"stall_s": STALL_S, "url": "http://127.0.0.1:7860", **options}
        return ServerMonitor(self.probe, clock=lambda: self.now_s, **options)

    async def probe(self):
        self.probes += 1
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def look_for(self, seconds):
        """Let time pass as the monitor's task does: a probe every two seconds."""
        for _ in range(round(seconds / 2)):
            self.now_s += 2
            await self.monitor.look()

    @property
    def state(self):
        """The state, after a check that the two events agree with it and with each other."""
        state = self.monitor.health().state
        assert self.monitor.lost.is_set() is not self.monitor.usable.is_set()
        assert state is LOADING or self.monitor.lost.is_set() is (state in {LOST, HUNG})
        return state


@pytest.fixture
def rig(monkeypatch):
    monkeypatch.setattr("queue_agent.server_monitor._PROBE_TIMEOUT_S", 0.01)
    return Rig()


STEPS = {
    "answers": lambda rig: setattr(rig, "answer", "token"),
    "restarted": lambda rig: setattr(rig, "answer", object()),
    "refuses": lambda rig: setattr(rig, "answer", REFUSED),
    "loads": lambda rig: setattr(rig, "answer", ServerLoading()),
    "is silent": lambda rig: setattr(rig, "answer", None),
    "agent frozen": lambda rig: setattr(rig, "now_s", rig.now_s + 3600),
    "a": lambda rig: rig.monitor.job_started("a"),
    "b": lambda rig: rig.monitor.job_started("b"),
    "long": lambda rig: rig.monitor.job_started("long", stall_s=2 * STALL_S),
    "a moves": lambda rig: rig.monitor.job_moved("a"),
    "a ends": lambda rig: rig.monitor.job_ended("a", answered=True),
    "a given up": lambda rig: rig.monitor.job_ended("a", answered=False),
    "foreign job": lambda rig: rig.monitor.job_ended("foreign", answered=True),
}


@pytest.mark.parametrize(
    "story",
    [
        (ALIVE, "refuses", 20, AWAY, 2, LOST, "answers", 2, ALIVE),
        ("is silent", 2, AWAY),
        ("refuses", 18, "answers", 2, "refuses", 18, "answers", 2, ALIVE),
        ("refuses", 2, "agent frozen", AWAY, "answers", 2, ALIVE),
        ("a", "refuses", 30, LOST, "a moves", ALIVE),
        ("loads", 22, LOADING, "refuses", 2, LOST, "answers", 2, ALIVE),
        # ComfyUI's dead worker thread: /prompt, /queue and /history all answer 200, and nothing ever runs.
        ("answers", 2, "a", STALL_S - 2, ALIVE, 2, HUNG),
        (2, "a", "b", *(STALL_S - 2, "a moves", STALL_S - 2, "restarted", 2) * 10, ALIVE),
        (2, "a", 30, "b", "a ends", STALL_S - 2, ALIVE, 2, HUNG),
        (2, 600, "a", "a ends", 600, ALIVE),
        (2, *("a", STALL_S / 3 - 2, "a given up", 600) * 3, "a", 4, ALIVE, 2, HUNG),
        (2, "a", STALL_S, "a given up", "foreign job", 600, HUNG, "restarted", 2, ALIVE),
        (2, "a", STALL_S, HUNG, "a moves", ALIVE, STALL_S, HUNG, "a ends", ALIVE),
        (2, "a", STALL_S, "is silent", 2, "answers", 2, HUNG, "refuses", 2, "answers", STALL_S - 2, ALIVE),
        (2, "a", "long", 2 * STALL_S - 2, ALIVE, 2, HUNG),
    ],
    ids=lambda story: " ".join(map(str, story))[:90],
)
async def test_a_server_is_lost_without_answers_and_hung_without_progress(rig, story):
    """A story is of seconds that pass, of what server and jobs do, and of states that must then be seen."""
    for step in story:
        if isinstance(step, ServerState):
            assert rig.state is step
        elif isinstance(step, str):
            STEPS[step](rig)
        else:
            await rig.look_for(step)


async def test_health_says_why_and_a_server_that_loads_is_alive(rig):
    rig.answer = REFUSED
    await rig.look_for(30)
    assert rig.monitor.health().reason == "No good answer for 28 s: The model server does not answer (ConnectError)."
    assert not rig.monitor.health().alive
    rig.answer = ServerLoading()
    await rig.look_for(2)
    assert (rig.monitor.lost.is_set(), rig.monitor.health().alive) == (True, True)
    rig.answer = "token"
    await rig.look_for(2)
    rig.monitor.job_started("a")
    await rig.look_for(STALL_S)
    assert rig.monitor.health().reason == "The model server at http://127.0.0.1:7860 hangs (a, 60 s). Restart it."


async def test_an_answer_that_cannot_be_read_counts_as_none_and_is_logged_once(rig, caplog):
    rig.answer = KeyError("workers")
    await rig.look_for(60)
    assert "cannot be read (KeyError)" in rig.monitor.health().reason
    assert sum(record.exc_info is not None for record in caplog.records) == 1


async def test_a_probe_that_fails_while_a_job_moves_does_not_count(rig):
    async def probe():
        rig.now_s += 1
        monitor.job_moved("a")
        raise ServerError

    rig.probe = probe
    rig.monitor = monitor = rig.monitor_of()
    monitor.job_started("a")
    await monitor.look()
    assert rig.state is ALIVE


@pytest.mark.parametrize(("forecast_s", "warned_after_s"), [(1, 30), (15, 46), (None, None)])
async def test_a_job_without_progress_for_three_times_its_forecast_is_warned_of_once(
    rig, caplog, forecast_s, warned_after_s
):
    rig.monitor = rig.monitor_of(stall_s=240)
    rig.monitor.job_started("a")
    rig.monitor.job_began("a", forecast_s)
    await rig.look_for(120)
    assert rig.state is ALIVE
    assert [record.getMessage() for record in caplog.records] == [
        f"the model server at http://127.0.0.1:7860 may hang: a shows no progress for {warned_after_s} s. "
        "Look at its log; restart it if it does not go on"
    ] * (forecast_s is not None)


async def test_each_change_of_state_is_logged_once(rig, caplog):
    caplog.set_level(logging.INFO)
    rig.answer = REFUSED
    await rig.look_for(60)
    rig.answer = "token"
    await rig.look_for(60)
    assert [(record.levelname, record.message.rpartition(" ")[2]) for record in caplog.records] == [
        ("WARNING", "away"),
        ("WARNING", "lost"),
        ("INFO", "alive"),
    ]


@pytest.mark.parametrize(("idle_s", "probes"), [(1.9, 0), (2, 1), (9, 1)])
async def test_a_job_has_the_server_probed_as_soon_as_nothing_was_heard_for_an_interval(rig, idle_s, probes):
    async def turns():
        for _ in range(10):
            await asyncio.sleep(0)

    task = rig.monitor.start()
    await turns()
    rig.now_s += idle_s
    rig.monitor.job_started("a")
    await turns()
    assert rig.probes == probes
    task.cancel()
    await asyncio.wait({task})
