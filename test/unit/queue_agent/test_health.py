import asyncio
from types import SimpleNamespace

import httpx
import pytest

from queue_agent import health
from queue_agent.health import serve_health
from queue_agent.server_monitor import ServerHealth, ServerState
from queue_agent.settings import SettingsError


@pytest.fixture
def agent():
    """What the pages are about."""

    async def metrics():
        return 200, "text/plain; version=0.0.4; charset=utf-8", b"jobs_total 3\n"

    health = ServerHealth(ServerState.ALIVE, "The model server is alive.")
    return SimpleNamespace(health=health, ready=asyncio.Event(), metrics=metrics)


def serve(agent, port=0):
    async def metrics():
        return await agent.metrics()

    pages = {"server_health": lambda: agent.health, "ready": agent.ready, "metrics": metrics}
    return serve_health(**pages, host="127.0.0.1", port=port)


def client_of(port):
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)


@pytest.fixture
async def pages(agent):
    async with serve(agent) as port, client_of(port) as client:
        yield client


async def test_the_agent_is_alive_whatever_else_fails_and_ready_once_the_model_server_was_however_it_is_now(
    agent, pages
):
    agent.health = ServerHealth(ServerState.LOST, "gone")
    assert (await pages.get("/healthz")).status_code == 200
    answer = await pages.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "waiting_for": ["model server"]})
    agent.ready.set()
    assert (await pages.get("/readyz")).status_code == 200


@pytest.mark.parametrize("state", ServerState)
async def test_the_model_server_is_alive_where_a_restart_would_not_help(agent, pages, state):
    agent.health = ServerHealth(state, "The reason.")
    answer = await pages.get("/livez/model")
    assert answer.status_code == (200 if state in {ServerState.ALIVE, ServerState.LOADING} else 503)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {"status": state.value, "reason": "The reason."}


async def test_the_metrics_page_has_its_own_type_and_shows_nothing_of_an_error(agent, pages):
    answer = await pages.get("/metrics")
    assert (answer.status_code, answer.content) == (200, b"jobs_total 3\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"

    async def broken():
        raise ValueError("s3cret")

    agent.metrics = broken
    answer = await pages.get("/metrics")
    assert answer.status_code == 500
    assert "s3cret" not in answer.text


async def test_a_port_that_is_taken_or_does_not_exist_is_named(agent):
    async with serve(agent) as taken:
        for port, words in ((taken, ".*in use"), (70000, "")):
            with pytest.raises(SettingsError, match=f"HEALTH_PORT={port} {words}"):
                await serve(agent, port).__aenter__()


async def test_the_server_stops_soon_though_a_page_never_comes(agent, monkeypatch):
    monkeypatch.setattr(health, "_STOP_S", 0.02)
    asked = asyncio.Event()

    async def endless():
        asked.set()
        await asyncio.Event().wait()

    agent.metrics = endless
    async with serve(agent) as port:
        client = client_of(port)
        request = asyncio.create_task(client.get("/metrics"))
        await asked.wait()
    with pytest.raises(httpx.HTTPError):
        await request
    await client.aclose()
