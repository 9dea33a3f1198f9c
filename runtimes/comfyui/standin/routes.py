"""ComfyUI's addresses, each of them also under /api."""

import asyncio
import json
import mimetypes
import os
import posixpath
import shutil
from pathlib import Path, PurePosixPath

from aiohttp import web
from aiohttp.web_request import FileField

from runtimes.comfyui.image.removal import ROUTE, remove
from runtimes.comfyui.standin.files import KINDS
from runtimes.comfyui.standin.machine import MODEL_FOLDERS, ComfyMachine
from runtimes.comfyui.standin.registry import NODES
from runtimes.comfyui.standin.socket import FEATURES
from runtimes.comfyui.standin.validation import error_entry
from runtimes.standin.stage import Stage

FINISHES_JOBS = False
"""Whether the server ends its jobs before it stops."""
JOB_PATHS = frozenset({"/prompt", "/api/prompt"})

_MACHINE = web.AppKey("machine", ComfyMachine)
_ROUTES = web.RouteTableDef()
_DOWNLOADED = {"text/html", "application/xhtml+xml", "text/javascript", "text/css"}
_MAX_UPLOAD_BYTES = 104857600


def build(stage: Stage) -> web.Application:
    """Return the application that answers as ComfyUI."""
    app = web.Application(client_max_size=_MAX_UPLOAD_BYTES)
    app[_MACHINE] = ComfyMachine(stage)
    app.add_routes(_ROUTES)
    for route in _ROUTES:
        if isinstance(route, web.RouteDef):
            app.router.add_route(route.method, f"/api{route.path}", route.handler)
    app.router.add_get("/_standin/files", _get_files)
    app.on_startup.append(_start)
    app.on_shutdown.append(_cut)
    app.on_cleanup.append(_stop)
    return app


async def _get_files(request: web.Request) -> web.Response:
    """Show what lies in the three folders, so that a test can see what jobs leave."""
    root = request.app[_MACHINE].folders.root
    return web.json_response(sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()))


async def _start(app: web.Application) -> None:
    app[_MACHINE].start()


async def _cut(app: web.Application) -> None:
    app[_MACHINE].hub.cut_all()


async def _stop(app: web.Application) -> None:
    await app[_MACHINE].stop()


@_ROUTES.get("/ws")
async def get_ws(request: web.Request) -> web.StreamResponse:
    """Open a websocket."""
    machine = request.app[_MACHINE]
    socket: web.StreamResponse = await machine.hub.listen(request, machine.greet)
    return socket


@_ROUTES.post("/prompt")
async def post_prompt(request: web.Request) -> web.Response:
    """Queue a prompt."""
    body = await request.json()
    if "prompt" not in body:
        error = error_entry("no_prompt", "No prompt provided", "No prompt provided")
        return web.json_response({"error": error, "node_errors": {}}, status=400)
    item, verdict = request.app[_MACHINE].submit(body)
    if item is None:
        return web.json_response({"error": verdict.error, "node_errors": verdict.node_errors}, status=400)
    told = {"prompt_id": item.prompt_id, "number": item.number, "node_errors": verdict.node_errors}
    return web.json_response(told)


@_ROUTES.get("/prompt")
async def get_prompt(request: web.Request) -> web.Response:
    """Show how many prompts wait or run."""
    return web.json_response({"exec_info": {"queue_remaining": request.app[_MACHINE].queue.remaining}})


@_ROUTES.get("/queue")
async def get_queue(request: web.Request) -> web.Response:
    """Show the prompts that wait or run."""
    return web.json_response(request.app[_MACHINE].queue.as_json())


@_ROUTES.post("/queue")
async def post_queue(request: web.Request) -> web.Response:
    """Take pending prompts out of the queue."""
    body, queue = await request.json(), request.app[_MACHINE].queue
    if body.get("clear"):
        queue.clear()
    for prompt_id in body.get("delete", []):
        queue.delete(prompt_id)
    return web.Response()


@_ROUTES.post("/interrupt")
async def post_interrupt(request: web.Request) -> web.Response:
    """End the running prompt, or the named one if it runs."""
    try:
        body = await request.json()
    except json.JSONDecodeError:
        body = {}
    request.app[_MACHINE].interrupt(body.get("prompt_id"))
    return web.Response()


@_ROUTES.get("/history")
async def get_history(request: web.Request) -> web.Response:
    """Show the prompts that ran."""
    most, offset = request.query.get("max_items"), request.query.get("offset", "-1")
    return web.json_response(request.app[_MACHINE].queue.newest(None if most is None else int(most), int(offset)))


@_ROUTES.get("/history/{prompt_id}")
async def get_history_of(request: web.Request) -> web.Response:
    """Show one prompt that ran; anything else is an empty object."""
    history, prompt_id = request.app[_MACHINE].queue.history, request.match_info["prompt_id"]
    return web.json_response({prompt_id: history[prompt_id]} if prompt_id in history else {})


@_ROUTES.post("/history")
async def post_history(request: web.Request) -> web.Response:
    """Forget prompts that ran."""
    body, queue = await request.json(), request.app[_MACHINE].queue
    if body.get("clear"):
        queue.history.clear()
    for prompt_id in body.get("delete", []):
        queue.history.pop(prompt_id, None)
    return web.Response()


@_ROUTES.get("/view")
async def get_view(request: web.Request) -> web.StreamResponse:
    """Give a file, or a smaller picture of it."""
    path = _viewed(request)
    if isinstance(path, int):
        return web.Response(status=path)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {"Content-Type": "application/octet-stream" if kind in _DOWNLOADED else kind}
    return web.FileResponse(path, headers={**headers, "Content-Disposition": f'filename="{path.name}"'})


def _viewed(request: web.Request) -> Path | int:
    """Return the file that the query names, or the status that says why not."""
    name, kind = request.query.get("filename"), request.query.get("type", "output")
    if name is None:
        return 404
    for other in KINDS:
        if name.endswith(f"[{other}]"):
            kind, name = other, name.removesuffix(f"[{other}]").rstrip()
    if not name or name.startswith("/") or ".." in name or kind not in KINDS:
        return 400
    folders = request.app[_MACHINE].folders
    path = folders.inside(kind, request.query.get("subfolder", ""), posixpath.basename(name))
    if path is None:
        return 403
    return path if path.is_file() else 404


@_ROUTES.post("/upload/image")
async def post_image(request: web.Request) -> web.Response:
    """Take a file; what is in it is not looked at."""
    form = await request.post()
    image, kind, subfolder = form.get("image"), str(form.get("type", "input")), str(form.get("subfolder", ""))
    if kind not in KINDS:
        # The real server fails here with aiohttp's own words.
        raise web.HTTPInternalServerError(text="500 Internal Server Error\n\nServer got itself in trouble")
    if not isinstance(image, FileField) or not image.filename:
        return web.Response(status=400)
    path, data = request.app[_MACHINE].folders.inside(kind, subfolder, image.filename), image.file.read()
    if path is None:
        return web.Response(status=400)
    name = PurePosixPath(image.filename)
    number = 1
    while form.get("overwrite") not in ("true", "1") and path.exists() and path.read_bytes() != data:
        path = path.with_name(f"{name.stem} ({number}){name.suffix}")
        number += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return web.json_response({"name": path.name, "subfolder": subfolder, "type": kind})


@_ROUTES.post(ROUTE)
async def post_discard(request: web.Request) -> web.Response:
    """Remove files, as the platform's own node in ComfyUI does."""
    root = request.app[_MACHINE].folders.root
    gone = await asyncio.to_thread(remove, {kind: root / kind for kind in KINDS}, await request.json())
    disk = shutil.disk_usage(root)
    return web.json_response({"removed": gone, "free_bytes": disk.free, "total_bytes": disk.total})


@_ROUTES.get("/object_info")
async def get_object_info(request: web.Request) -> web.Response:
    """Show every node's declaration."""
    library = request.app[_MACHINE].library
    return web.json_response({name: kind.info(library) for name, kind in NODES.items()})


@_ROUTES.get("/object_info/{name}")
async def get_object_info_of(request: web.Request) -> web.Response:
    """Show one node's declaration."""
    kind = NODES.get(request.match_info["name"])
    return web.json_response({} if kind is None else {kind.name: kind.info(request.app[_MACHINE].library)})


@_ROUTES.get("/models")
async def get_models(_: web.Request) -> web.Response:
    """Show the folders of models."""
    return web.json_response(MODEL_FOLDERS)


@_ROUTES.get("/models/{folder}")
async def get_models_in(request: web.Request) -> web.Response:
    """Show the models of a folder."""
    names = request.app[_MACHINE].library.models.get(request.match_info["folder"])
    return web.Response(status=404) if names is None else web.json_response(names)


@_ROUTES.get("/embeddings")
async def get_embeddings(_: web.Request) -> web.Response:
    """Show that there are no embeddings."""
    return web.json_response([])


@_ROUTES.get("/features")
async def get_features(_: web.Request) -> web.Response:
    """Show what the server can do."""
    return web.json_response(FEATURES)


@_ROUTES.post("/free")
async def post_free(request: web.Request) -> web.Response:
    """Forget cached results."""
    body = await request.json()
    if body.get("free_memory"):
        request.app[_MACHINE].free()
    return web.Response()


@_ROUTES.get("/system_stats")
async def get_system_stats(_: web.Request) -> web.Response:
    """Show the machine; sizes in bytes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system = {"os": os.name, "ram_total": total, "ram_free": total, "comfyui_version": "0.3.64", "argv": ["main.py"]}
    device = {"name": "cpu", "type": "cpu", "index": None, "vram_total": total, "vram_free": total}
    return web.json_response({"system": system, "devices": [device]})
