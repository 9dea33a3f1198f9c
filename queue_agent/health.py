"""What the agent answers the kubelet over HTTP: whether it is alive and ready, and whether the model server is."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web

from queue_agent.server_monitor import ServerHealth
from queue_agent.settings import SettingsError

_STOP_S = 1.0


@asynccontextmanager
async def serve_health(
    *,
    server_health: Callable[[], ServerHealth],
    ready: asyncio.Event,
    metrics: Callable[[], Awaitable[tuple[int, str, bytes]]],
    host: str | None,
    port: int,
) -> AsyncIterator[int]:
    """Serve the agent's pages for as long as the context lasts; yields the port listened on.

    /healthz answers 200 while the event loop runs; /readyz once the model server has been ready, and from then on, busy
    or idle; /livez/model while the model server is alive. Otherwise they answer 503 with the reason. ``metrics`` makes
    the page /metrics: status, Content-Type, body. Host None is every address, IPv4 and IPv6; port 0 is any free one.

    Raises:
        SettingsError: The port is taken, or the address is not this machine's.
    """

    async def alive(_: web.Request) -> web.Response:
        return _json(HTTPStatus.OK, status="alive")

    async def readiness(_: web.Request) -> web.Response:
        if not ready.is_set():
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, status="not ready", waiting_for=["model server"])
        return _json(HTTPStatus.OK, status="ready")

    async def model_server(_: web.Request) -> web.Response:
        health = server_health()
        status = HTTPStatus.OK if health.alive else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, status=health.state, reason=health.reason)

    async def metrics_page(_: web.Request) -> web.Response:
        status, content_type, body = await metrics()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    app = web.Application()
    pages = {"/healthz": alive, "/readyz": readiness, "/livez/model": model_server, "/metrics": metrics_page}
    app.add_routes([web.get(path, page) for path, page in pages.items()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, OverflowError) as exc:
            raise SettingsError(f"HEALTH_PORT={port} cannot be listened on: {exc}") from exc
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _json(http_status: HTTPStatus, **fields: object) -> web.Response:
    return web.Response(status=http_status, text=json.dumps(fields), content_type="application/json")
