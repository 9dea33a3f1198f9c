"""A listening stand-in: its type's application, and the paths under /_standin for tests."""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from runtimes.standin.control import Control

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTROL = "/_standin/"
_PATIENCE_S = 24 * 3600.0


class Server:
    """A stand-in on a port; with 0 it picks a free one, and `port` says which.

    The module ``routes`` of its type has ``build``, which makes the application, and FINISHES_JOBS.
    `patience_s` is how long `stop` waits for open requests; None waits as the real server does.
    """

    def __init__(
        self,
        type_name: str,
        control: Control,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        patience_s: float | None = None,
    ) -> None:
        self.port = port
        self._host = host
        self._control = control
        routes: Any = importlib.import_module(f"runtimes.{type_name}.standin.routes")
        if patience_s is None:
            patience_s = _PATIENCE_S if routes.FINISHES_JOBS else 0.0
        app: web.Application = routes.build(control)
        app.middlewares.insert(0, _misbehave(control))
        app.add_routes(_control_routes(control))
        self._runner = web.AppRunner(app, shutdown_timeout=patience_s, access_log=None)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        """Start to listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening, finish running jobs if the real server does, and clean up; hung jobs fail."""
        self._control.stop()
        await self._runner.cleanup()


def _control_routes(control: Control) -> list[web.RouteDef]:
    async def get_faults(_: web.Request) -> web.Response:
        return web.json_response(control.faults.model_dump())

    async def post_faults(request: web.Request) -> web.Response:
        try:
            control.change(dict(await request.json()))
        except (ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return await get_faults(request)

    async def get_jobs(_: web.Request) -> web.Response:
        return web.json_response({"jobs": [asdict(job) for job in control.jobs]})

    return [
        web.get(f"{CONTROL}faults", get_faults),
        web.post(f"{CONTROL}faults", post_faults),
        web.get(f"{CONTROL}jobs", get_jobs),
    ]


def _misbehave(control: Control) -> Any:
    """Answer 503 while the server is loading, and 200 with garbage if the faults say so."""

    @web.middleware
    async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)
        if control.is_loading:
            return web.Response(status=503, text="loading")
        response, path = await handler(request), control.faults.garbage_path
        if path and path in request.path:
            return web.Response(body=b"\x00\xff<garbage>", content_type="application/json", charset=None)
        return response

    return misbehave
