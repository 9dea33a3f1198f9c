"""The application of either server, with the addresses under /_standin by which a test steers it."""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from runtimes.comfyui.standin.routes import JOB_PATHS as COMFYUI_JOB_PATHS
from runtimes.comfyui.standin.routes import build as build_comfyui
from runtimes.sdwebui.standin.routes import JOB_PATHS as SDWEBUI_JOB_PATHS
from runtimes.sdwebui.standin.routes import build as build_sdwebui
from runtimes.standin.stage import Stage

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTROL = "/_standin/"


@dataclass(frozen=True, kw_only=True)
class Type:
    """One type of server: how it is built, which paths take jobs, whether it ends its jobs before it stops."""

    build: Callable[[Stage], web.Application]
    job_paths: frozenset[str]
    finishes_jobs: bool


TYPES = {
    "sdwebui": Type(build=build_sdwebui, job_paths=SDWEBUI_JOB_PATHS, finishes_jobs=True),
    "comfyui": Type(build=build_comfyui, job_paths=COMFYUI_JOB_PATHS, finishes_jobs=False),
}


def build_app(type_name: str, stage: Stage) -> web.Application:
    """Return the application of a type of server ("sdwebui" or "comfyui") on the given stage."""
    kind = TYPES[type_name]
    app = kind.build(stage)
    app.middlewares.insert(0, _liar(stage, kind.job_paths))
    app.middlewares.insert(0, _loader(stage))
    app.router.add_get(f"{CONTROL}faults", _get_faults(stage))
    app.router.add_post(f"{CONTROL}faults", _post_faults(stage))
    app.router.add_get(f"{CONTROL}jobs", _get_jobs(stage))
    return app


def _get_faults(stage: Stage) -> Handler:
    async def show(_: web.Request) -> web.Response:
        return web.json_response(stage.faults.now.as_json())

    return show


def _post_faults(stage: Stage) -> Handler:
    async def change(request: web.Request) -> web.Response:
        try:
            stage.faults.change(dict(await request.json()))
        except (ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(stage.faults.now.as_json())

    return change


def _get_jobs(stage: Stage) -> Handler:
    async def show(_: web.Request) -> web.Response:
        return web.json_response(stage.jobs.as_json())

    return show


def _loader(stage: Stage) -> Any:
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
    @web.middleware
    async def lie(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        faults = stage.faults.now
        named = faults.lie_path in request.path if faults.lie_path else request.path in job_paths
        teller = _TELLERS.get(faults.lie)
        if teller is None or not named or request.path.startswith(CONTROL) or not isinstance(response, web.Response):
            return response
        return await teller(request, response)

    return lie


async def _tell_garbage(_: web.Request, __: web.Response) -> web.StreamResponse:
    return web.Response(body=b"\x00\xff<garbage>", content_type="application/json", charset=None)


async def _tell_half(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it and cut the connection."""
    body = response.body if isinstance(response.body, bytes) else json.dumps(None).encode()
    half = web.StreamResponse(headers={"Content-Type": response.content_type, "Content-Length": str(len(body))})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


_TELLERS: dict[str, Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]] = {
    "garbage": _tell_garbage,
    "half": _tell_half,
}
