import asyncio

import httpx
import pytest

from queue_agent import health
from queue_agent.health import serve_health
from queue_agent.server_monitor import ServerHealth, ServerState
from queue_agent.settings import SettingsError


async def no_metrics():
    return 200, "text/plain", b""


def serve(*, state=ServerState.ALIVE, metrics=no_metrics, port=0):
    said = ServerHealth(state, "The reason.")
    return serve_health(server_health=lambda: said, ready=asyncio.Event(), metrics=metrics, host="127.0.0.1", port=port)


def client_of(port):
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)


@pytest.mark.parametrize("state", ServerState)
async def test_the_model_server_is_alive_where_a_restart_would_not_help_and_the_agent_whatever_it_is(state):
    async with serve(state=state) as port, client_of(port) as client:
        answer = await client.get("/livez/model")
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json() == {"status": "not ready", "waiting_for": ["model server"]}
    assert answer.status_code == (200 if state in {ServerState.ALIVE, ServerState.LOADING} else 503)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {"status": state.value, "reason": "The reason."}


async def test_the_metrics_page_shows_nothing_of_an_error():
    async def broken():
        raise ValueError("s3cret")

    async with serve(metrics=broken) as port, client_of(port) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 500
    assert "s3cret" not in answer.text


async def test_a_port_that_is_taken_or_does_not_exist_is_named():
    async with serve() as taken:
        for port, words in ((taken, "cannot be listened on: .*in use"), (70000, "cannot be listened on")):
            with pytest.raises(SettingsError, match=f"HEALTH_PORT={port} {words}"):
                await serve(port=port).__aenter__()


async def test_the_server_stops_soon_though_a_page_never_comes(monkeypatch):
    monkeypatch.setattr(health, "_STOP_S", 0.02)
    asked = asyncio.Event()

    async def endless():
        asked.set()
        await asyncio.Event().wait()

    async with serve(metrics=endless) as port:
        client = client_of(port)
        request = asyncio.create_task(client.get("/metrics"))
        await asked.wait()
    with pytest.raises(httpx.HTTPError):
        await request
    await client.aclose()
