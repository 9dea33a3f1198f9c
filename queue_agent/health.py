"""What the agent answers the kubelet over HTTP: whether it is alive and ready, and whether the model server is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Self

from aiohttp import web

from queue_agent.server_monitor import ServerHealth
from queue_agent.settings import SettingsError

_STOP_S = 1.0


class HealthServer:
    """The agent's pages, for as long as the context lasts.

    /healthz answers 200 while the event loop runs; /readyz once the model server has been ready, and from then on, busy
    or idle; /livez/model while the model server is alive. Otherwise they answer 503 with the reason.

    Args:
        server_health: The model server's health.
        ready: Set once the model server has been ready.
        metrics: Makes the page /metrics: status, Content-Type, body.
        host: The address to listen on; None is every one, IPv4 and IPv6.
        port: The port to listen on; 0 is any free one.

    Attributes:
        port: The port listened on.
    """

    def __init__(
        self,
        *,
        server_health: Callable[[], ServerHealth],
        ready: asyncio.Event,
        metrics: Callable[[], Awaitable[tuple[int, str, bytes]]],
        host: str | None,
        port: int,
    ) -> None:
        self.port = port
        self._host = host
        self._server_health = server_health
        self._ready = ready
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/healthz", _health)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/livez/model", self._model_server)
        app.router.add_get("/metrics", self._metrics_page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            SettingsError: The port is taken, or the address is not this machine's.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except (OSError, OverflowError) as exc:
            await self._runner.cleanup()
            raise SettingsError(f"HEALTH_PORT={self.port} cannot be listened on: {exc}") from exc
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    async def _readiness(self, _request: web.Request) -> web.Response:
        if not self._ready.is_set():
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, status="not ready", waiting_for=["model server"])
        return _json(HTTPStatus.OK, status="ready")

    async def _model_server(self, _request: web.Request) -> web.Response:
        health = self._server_health()
        status = HTTPStatus.OK if health.alive else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, status=health.state, reason=health.reason)

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        status, content_type, body = await self._metrics()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})


async def _health(_request: web.Request) -> web.Response:
    return _json(HTTPStatus.OK, status="alive")


def _json(http_status: HTTPStatus, **fields: object) -> web.Response:
    return web.Response(status=http_status, text=json.dumps(fields), content_type="application/json")
