import asyncio

import httpx
import pytest

from queue_agent import health
from queue_agent.health import HealthServer
from queue_agent.server_monitor import ServerHealth, ServerState
from queue_agent.settings import SettingsError


class Agent:
    """What the pages are about."""

    def __init__(self):
        self.server_health = ServerHealth(ServerState.ALIVE, "The model server is alive.")
        self.ready = asyncio.Event()

    async def page(self):
        return await self.metrics()

    async def metrics(self):
        return 200, "text/plain; version=0.0.4; charset=utf-8", b"jobs_total 3\n"

    def serve(self, port=0):
        return HealthServer(
            server_health=lambda: self.server_health,
            ready=self.ready,
            metrics=self.page,
            host="127.0.0.1",
            port=port,
        )


@pytest.fixture
def agent():
    return Agent()


@pytest.fixture
async def pages(agent):
    async with (
        agent.serve() as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client,
    ):
        yield client


async def test_the_agent_is_alive_whatever_else_fails_and_ready_once_the_model_server_was_however_it_is_now(
    agent, pages
):
    agent.server_health = ServerHealth(ServerState.LOST, "gone")
    assert (await pages.get("/healthz")).status_code == 200
    answer = await pages.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "waiting_for": ["model server"]})
    agent.ready.set()
    assert (await pages.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (ServerState.ALIVE, 200),
        (ServerState.LOADING, 200),  # which a restart would only prolong
        (ServerState.AWAY, 503),
        (ServerState.LOST, 503),
        (ServerState.HUNG, 503),
    ],
)
async def test_the_model_server_is_alive_where_a_restart_would_not_help(agent, pages, state, status):
    agent.server_health = ServerHealth(state, "The reason.")
    answer = await pages.get("/livez/model")
    assert answer.status_code == status
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
    async with agent.serve() as first:
        for port, words in ((first.port, ".*in use"), (70000, "")):
            with pytest.raises(SettingsError, match=f"HEALTH_PORT={port} {words}"):
                await agent.serve(port=port).__aenter__()


@pytest.mark.parametrize("page", ["/healthz", "/metrics"])
async def test_the_server_stops_soon_though_a_client_keeps_its_connection_or_a_page_never_comes(
    agent, monkeypatch, page
):
    monkeypatch.setattr(health, "_STOP_S", 0.02 if page == "/metrics" else 600)
    asked = asyncio.Event()

    async def endless():
        asked.set()
        await asyncio.Event().wait()

    agent.metrics = endless
    async with httpx.AsyncClient(trust_env=False) as client:
        async with agent.serve() as server:
            request = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}{page}"))
            await (asked.wait() if page == "/metrics" else request)
        with pytest.raises(httpx.HTTPError):
            await (request if page == "/metrics" else client.get(f"http://127.0.0.1:{server.port}{page}"))
