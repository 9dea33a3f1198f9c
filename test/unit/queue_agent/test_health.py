import asyncio

import httpx
import pytest

from queue_agent import health
from queue_agent.health import HealthServer
from queue_agent.server_monitor import ServerHealth, ServerState
from queue_agent.settings import SettingsError

ALIVE = ServerHealth(ServerState.ALIVE, "The model server is alive.")


class Agent:
    """What the pages tell of."""

    def __init__(self):
        self.server_health = ALIVE
        self.ready = {"queue": asyncio.Event(), "model server": asyncio.Event()}

    async def metrics(self):
        return 200, "text/plain; version=0.0.4; charset=utf-8", b"jobs_total 3\n"

    async def broken(self):
        raise ValueError("s3cret")

    def serve(self, port=0):
        return HealthServer(
            server_health=lambda: self.server_health,
            ready=self.ready,
            pages={"/metrics": self.metrics, "/broken": self.broken},
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


async def test_healthz_is_200_whatever_else_fails(agent, pages):
    agent.server_health = ServerHealth(ServerState.LOST, "gone")
    assert (await pages.get("/healthz")).status_code == 200


async def test_readyz_names_what_it_waits_for_until_every_part_has_been_ready(agent, pages):
    agent.ready["queue"].set()
    answer = await pages.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "waiting_for": ["model server"]}
    agent.ready["model server"].set()
    assert (await pages.get("/readyz")).status_code == 200


async def test_readyz_stays_200_when_the_model_server_is_lost(agent, pages):
    for event in agent.ready.values():
        event.set()
    agent.server_health = ServerHealth(ServerState.LOST, "gone")
    assert (await pages.get("/readyz")).status_code == 200


async def test_livez_model_is_200_while_a_model_is_loaded_again_which_a_restart_would_only_prolong(agent, pages):
    agent.server_health = ServerHealth(ServerState.LOADING, "The model server loads its model.")
    assert (await pages.get("/livez/model")).status_code == 200


async def test_livez_model_is_200_while_the_model_server_is_alive(pages):
    answer = await pages.get("/livez/model")
    assert answer.status_code == 200
    assert answer.json() == {"status": "alive", "reason": "The model server is alive."}


@pytest.mark.parametrize("state", sorted({ServerState.AWAY, ServerState.LOST, ServerState.HUNG}))
async def test_livez_model_is_503_with_the_reason_otherwise(agent, pages, state):
    agent.server_health = ServerHealth(state, "No job has moved.")
    answer = await pages.get("/livez/model")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {"status": state.value, "reason": "No job has moved."}


async def test_a_page_that_was_added_answers_with_its_own_type_and_bytes(pages):
    answer = await pages.get("/metrics")
    assert (answer.status_code, answer.content) == (200, b"jobs_total 3\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez/model", "/metrics"])
async def test_head_answers_as_get_does_without_a_body(pages, path):
    head, get = await pages.head(path), await pages.get(path)
    assert head.status_code == get.status_code
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.content == b""


@pytest.mark.parametrize("path", ["/", "/livez", "/healthz/x", "/metrics/"])
async def test_an_unknown_path_is_404(pages, path):
    assert (await pages.get(path)).status_code == 404


async def test_nothing_is_changed_through_the_pages(pages):
    assert (await pages.post("/healthz", content=b"x")).status_code == 405


async def test_a_page_that_breaks_is_a_500_that_shows_nothing_of_the_cause(pages):
    answer = await pages.get("/broken")
    assert answer.status_code == 500
    assert "s3cret" not in answer.text
    assert (await pages.get("/healthz")).status_code == 200


async def test_a_taken_port_is_told_by_the_settings_name_and_its_value(agent):
    async with agent.serve() as first:
        with pytest.raises(SettingsError, match=f"HEALTH_PORT={first.port} .*in use"):
            await agent.serve(port=first.port).__aenter__()


async def test_a_port_that_cannot_be_is_told_likewise(agent):
    with pytest.raises(SettingsError, match="HEALTH_PORT=70000 "):
        await agent.serve(port=70000).__aenter__()


async def test_the_server_stops_at_once_though_a_client_keeps_its_connection(agent, monkeypatch):
    monkeypatch.setattr(health, "_STOP_S", 600)
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        async with agent.serve() as server:
            url = f"http://127.0.0.1:{server.port}/healthz"
            await client.get(url)
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_the_server_stops_soon_though_a_page_never_comes(agent, monkeypatch):
    monkeypatch.setattr(health, "_STOP_S", 0.02)
    asked = asyncio.Event()

    async def endless():
        asked.set()
        await asyncio.sleep(600)

    agent.metrics = endless
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        async with agent.serve() as server:
            request = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/metrics"))
            await asked.wait()
        with pytest.raises(httpx.RemoteProtocolError):
            await request


async def test_the_port_is_free_again_after_the_end(agent):
    async with agent.serve() as server:
        port = server.port
    async with agent.serve(port=port) as server:
        assert server.port == port
