"""One stand-in that listens: its type's application, and the addresses under /_standin by which a test steers it."""

import importlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from runtimes.standin.stage import Stage

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTROL = "/_standin/"
_PATIENCE_S = 24 * 3600.0


def routes_of(type_name: str) -> Any:
    """The module of a type's stand-in: ``build`` makes its application; JOB_PATHS and FINISHES_JOBS describe it."""
    return importlib.import_module(f"runtimes.{type_name}.standin.routes")


def build_app(type_name: str, stage: Stage) -> web.Application:
    """Return the application of a type of server ("sdwebui" or "comfyui") on the given stage."""

    async def get_faults(_: web.Request) -> web.Response:
        return web.json_response(stage.faults.now.model_dump())

    async def post_faults(request: web.Request) -> web.Response:
        try:
            stage.faults.change(dict(await request.json()))
        except (ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return await get_faults(request)

    async def get_jobs(_: web.Request) -> web.Response:
        return web.json_response(stage.jobs_json())

    routes = routes_of(type_name)
    app: web.Application = routes.build(stage)
    app.middlewares.insert(0, _liar(stage, routes.JOB_PATHS))
    app.middlewares.insert(0, _loader(stage))
    app.router.add_get(f"{CONTROL}faults", get_faults)
    app.router.add_post(f"{CONTROL}faults", post_faults)
    app.router.add_get(f"{CONTROL}jobs", get_jobs)
    return app


def _loader(stage: Stage) -> Any:
    """Answer 503 to everything while the server loads."""
    ready_at = time.monotonic() + stage.faults.now.load_s

    def delay(change: dict[str, Any]) -> None:
        nonlocal ready_at
        if "load_s" in change:
            ready_at = time.monotonic() + stage.faults.now.load_s

    stage.faults.watch(delay)

    @web.middleware
    async def hold_while_loading(request: web.Request, handler: Handler) -> web.StreamResponse:
        if time.monotonic() < ready_at and not request.path.startswith(CONTROL):
            return web.Response(status=503, text="loading")
        return await handler(request)

    return hold_while_loading


def _liar(stage: Stage, job_paths: frozenset[str]) -> Any:
    """Answer 200 with garbage, as the faults say."""

    @web.middleware
    async def lie(request: web.Request, handler: Handler) -> web.StreamResponse:
        response, faults = await handler(request), stage.faults.now
        named = faults.lie_path in request.path if faults.lie_path else request.path in job_paths
        if faults.lie and named and not request.path.startswith(CONTROL):
            return web.Response(body=b"\x00\xff<garbage>", content_type="application/json", charset=None)
        return response

    return lie


class Server:
    """A stand-in on a port; 0 takes a free one, which `port` then names.

    `patience_s` is how long `stop` waits for requests under way; None takes what the real server does.
    """

    def __init__(
        self, type_name: str, stage: Stage, *, host: str = "127.0.0.1", port: int = 0, patience_s: float | None = None
    ) -> None:
        self.port = port
        self._host = host
        self._stage = stage
        if patience_s is None:
            patience_s = _PATIENCE_S if routes_of(type_name).FINISHES_JOBS else 0.0
        self._runner = web.AppRunner(build_app(type_name, stage), shutdown_timeout=patience_s, access_log=None)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening, let the running jobs end where the real server does, and clean up; hung ones fail."""
        self._stage.faults.stop()
        await self._runner.cleanup()
