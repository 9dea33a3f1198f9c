"""A model server that does not answer."""

from watchkit import STALL_S, refuse, state_of

from queue_agent import server_monitor as watch_module
from queue_agent.errors import ServerError, ServerLoading
from queue_agent.server_monitor import ServerMonitor, State


def test_a_server_nobody_has_asked_yet_is_taken_for_alive(watch):
    assert state_of(watch) is State.ALIVE
    assert watch.verdict().alive


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
        raise ServerError

    watch = ServerMonitor(probe, stall_s=STALL_S, clock=clock)
    watch.job_started("a")
    await watch.look()
    assert state_of(watch) is State.ALIVE


async def test_a_server_that_loads_its_model_is_lost_like_one_that_is_away_and_yet_alive(watch, server, looking):
    server.fault = ServerLoading("The model server loads its model.")
    await looking(20)
    assert (watch.verdict().state, watch.lost.is_set()) == (State.LOADING, False)
    await looking(2)
    assert (watch.verdict().state, watch.lost.is_set()) == (State.LOADING, True)
    assert watch.verdict().alive
    server.fault = None
    await looking(2)
    assert state_of(watch) is State.ALIVE


async def test_a_server_that_vanishes_while_it_loads_is_lost_and_not_alive(watch, server, looking):
    server.fault = ServerLoading()
    await looking(30)
    refuse(server)
    await looking(2)
    assert state_of(watch) is State.LOST
    assert not watch.verdict().alive
