"""ComfyUI's routes, each also under /api."""

import asyncio
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from runtimes.comfyui.image.removal import ROUTE, remove
from runtimes.comfyui.standin.execution import work
from runtimes.comfyui.standin.files import KINDS
from runtimes.comfyui.standin.machine import ComfyMachine
from runtimes.comfyui.standin.nodes import DECLARED
from runtimes.comfyui.standin.socket import FEATURES
from runtimes.standin.background import run_beside
from runtimes.standin.control import Control

FINISHES_JOBS = False
"""Whether the server finishes its jobs before it stops."""


def build(control: Control) -> web.Application:
    """Return the application that answers like ComfyUI."""
    app = web.Application(client_max_size=FEATURES["max_upload_size"])
    machine = ComfyMachine(control)
    for method, path, handler in (
        ("GET", "/ws", _get_ws),
        ("POST", "/prompt", _post_prompt),
        ("GET", "/prompt", partial(_tell, ComfyMachine.remaining)),
        ("GET", "/queue", partial(_tell, ComfyMachine.queue)),
        ("POST", "/queue", _post_queue),
        ("POST", "/interrupt", _post_interrupt),
        ("GET", "/history", _get_history),
        ("GET", "/history/{name}", _get_history),
        ("POST", "/history", _post_history),
        ("GET", "/view", _get_view),
        ("POST", "/upload/image", _post_image),
        ("POST", ROUTE, _post_discard),
        ("GET", "/object_info", _get_object_info),
        ("GET", "/object_info/{name}", _get_object_info),
    ):
        for prefix in ("", "/api"):
            app.router.add_route(method, prefix + path, partial(handler, machine))
    app.router.add_get("/_standin/files", partial(_tell, lambda one: one.folders.names(), machine))
    run_beside(app, machine.hub, partial(work, machine), discard=machine.folders.discard)
    return app


async def _tell(payload: Callable[[ComfyMachine], Any], machine: ComfyMachine, _: web.Request) -> web.Response:
    return web.json_response(payload(machine))


async def _get_ws(machine: ComfyMachine, request: web.Request) -> web.StreamResponse:
    return await machine.hub.listen(request, machine.greet)


async def _post_prompt(machine: ComfyMachine, request: web.Request) -> web.Response:
    item, verdict = machine.submit(await request.json())
    if verdict.error is not None:
        return web.json_response({"error": verdict.error, "node_errors": verdict.node_errors}, status=400)
    told = {"prompt_id": item.prompt_id, "number": item.number, "node_errors": verdict.node_errors}
    return web.json_response(told)


async def _post_queue(machine: ComfyMachine, request: web.Request) -> web.Response:
    body = await request.json()
    machine.withdraw([item.prompt_id for item in machine.pending] if body.get("clear") else body.get("delete", []))
    return web.Response()


async def _post_interrupt(machine: ComfyMachine, request: web.Request) -> web.Response:
    body = {}
    with suppress(json.JSONDecodeError):
        body = await request.json()
    machine.interrupt(body.get("prompt_id"))
    return web.Response()


async def _get_history(machine: ComfyMachine, request: web.Request) -> web.Response:
    """Return all past prompts or the named one; an empty object if it is unknown."""
    name = request.match_info.get("name")
    return web.json_response({one: entry for one, entry in machine.history.items() if name in (one, None)})


async def _post_history(machine: ComfyMachine, request: web.Request) -> web.Response:
    body = await request.json()
    for prompt_id in list(machine.history) if body.get("clear") else body.get("delete", []):
        machine.history.pop(prompt_id, None)
    return web.Response()


async def _get_view(machine: ComfyMachine, request: web.Request) -> web.StreamResponse:
    name, kind, folder = (request.query.get(key, "") for key in ("filename", "type", "subfolder"))
    kind = kind or "output"
    if not name or name.startswith("/") or ".." in name or kind not in KINDS:
        return web.Response(status=400 if name else 404)
    path = machine.folders.inside(kind, folder, name)
    if path is None or not path.is_file():
        return web.Response(status=403 if path is None else 404)
    return web.FileResponse(path, headers={"Content-Disposition": f'filename="{path.name}"'})


async def _post_image(machine: ComfyMachine, request: web.Request) -> web.Response:
    """Store a file without looking at its content."""
    form = await request.post()
    image, kind, subfolder = form.get("image"), str(form.get("type", "input")), str(form.get("subfolder", ""))
    if not isinstance(image, FileField) or not image.filename or kind not in KINDS:
        return web.Response(status=400)
    path, data = machine.folders.inside(kind, subfolder, image.filename), image.file.read()
    if path is None:
        return web.Response(status=400)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return web.json_response({"name": path.name, "subfolder": subfolder, "type": kind})


async def _post_discard(machine: ComfyMachine, request: web.Request) -> web.Response:
    """Remove files, as the platform's node in ComfyUI does."""
    root = machine.folders.root
    gone = await asyncio.to_thread(remove, {kind: root / kind for kind in KINDS}, await request.json())
    disk = shutil.disk_usage(root)
    return web.json_response({"removed": gone, "free_bytes": disk.free, "total_bytes": disk.total})


async def _get_object_info(machine: ComfyMachine, request: web.Request) -> web.Response:
    """Return all nodes' declarations or the named one."""
    name = request.match_info.get("name")
    named = {one: entry for one, entry in DECLARED.items() if name in (one, None)}
    return web.json_response(machine.library.declaration(named))
