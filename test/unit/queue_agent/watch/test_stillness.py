"""A model server that answers and whose jobs do not move."""

import pytest
from watchkit import STALL_S, refuse, state_of

from queue_agent import server_monitor as watch_module
from queue_agent.server_monitor import ServerMonitor, State


async def test_a_job_that_never_starts_on_a_server_that_answers_makes_it_hung(watch, looking):
    """ComfyUI's dead worker thread: /prompt, /queue and /history all answer 200, and nothing ever runs."""
    watch.job_started("a")
    await looking(STALL_S - 2)
    assert state_of(watch) is State.ALIVE
    await looking(2)
    assert state_of(watch) is State.HUNG
    assert watch.verdict().reason == "The model server at http://127.0.0.1:7860 hangs (a, 60 s). Restart it."


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if "may hang" in record.getMessage()]


@pytest.mark.parametrize(("forecast_s", "warned_after_s"), [(1, 30), (15, 46)])
async def test_a_job_that_stands_still_for_three_times_its_forecast_is_warned_of_once(
    clock, server, caplog, forecast_s, warned_after_s
):
    watch = ServerMonitor(server.probe, stall_s=240, url="http://127.0.0.1:7860", clock=clock)
    watch.job_started("a")
    watch.job_began("a", forecast_s)
    for _ in range(60):
        clock.now_s += 2
        await watch.look()
        if clock.now_s - 1000 < warned_after_s:
            assert not warnings(caplog)
    assert state_of(watch) is State.ALIVE
    assert warnings(caplog) == [
        f"the model server at http://127.0.0.1:7860 may hang: a shows no progress for {warned_after_s} s. "
        "Look at its log; restart it if it does not go on"
    ]


async def test_a_job_that_moves_is_warned_of_anew_and_one_of_unknown_length_is_not(watch, looking, caplog):
    watch.job_started("a")
    watch.job_began("a", None)
    await looking(50)
    assert not warnings(caplog)
    watch.job_began("a", 2.0)
    await looking(2)
    watch.job_moved("a")
    await looking(28)
    assert len(warnings(caplog)) == 1
    await looking(2)
    assert len(warnings(caplog)) == 2
    watch.job_ended("a", answered=True)
    await looking(100)
    assert len(warnings(caplog)) == 2


async def test_a_server_that_has_just_moved_is_not_called_hung_however_short_the_limit(server, clock):
    signs = iter(range(100))

    async def probe():
        return next(signs)

    watch = ServerMonitor(probe, stall_s=1e-9, clock=clock)
    watch.job_started("a", stall_s=1e-9)
    for _ in range(50):
        clock.now_s += 2
        await watch.look()
        assert state_of(watch) is State.ALIVE


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
    assert "(a, 60 s)" in watch.verdict().reason


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
