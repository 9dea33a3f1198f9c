"""InvokeAI's routes."""

import io
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField
from PIL import Image, UnidentifiedImageError

from runtimes.invokeai.standin.declared import OPENAPI
from runtimes.invokeai.standin.execution import work
from runtimes.invokeai.standin.machine import InvokeMachine
from runtimes.invokeai.standin.validation import errors_of
from runtimes.standin.background import run_beside
from runtimes.standin.control import Control

FINISHES_JOBS = False
"""Whether the server finishes its jobs before it stops."""
_PAGE = '<!DOCTYPE html>\n<html lang="en"><head><title>Invoke - Community Edition</title></head></html>'


def build(control: Control) -> web.Application:
    """Return the application that answers like InvokeAI."""
    app = web.Application(client_max_size=100 * 1024 * 1024)
    machine = InvokeMachine(control)
    queue = "/api/v1/queue/{queue_id}"
    for method, path, handler in (
        ("GET", "/ws/socket.io/", _get_socket),
        ("GET", "/openapi.json", _get_openapi),
        ("GET", "/api/v1/app/version", _get_version),
        ("GET", "/api/v1/app/runtime_config", _get_config),
        ("GET", "/api/v1/app/generation_device_options", _get_devices),
        ("POST", f"{queue}/enqueue_batch", _post_batch),
        ("GET", f"{queue}/status", _get_status),
        ("GET", f"{queue}/counts_by_destination", _get_counts),
        ("GET", f"{queue}/list_all", _get_items),
        ("GET", f"{queue}/item_ids", _get_item_ids),
        ("POST", f"{queue}/item_summaries_by_ids", _post_summaries),
        ("PUT", f"{queue}/cancel_by_destination", _put_cancel),
        ("DELETE", queue + "/d/{destination}", _delete_items),
        ("POST", "/api/v1/images/upload", _post_image),
        ("GET", "/api/v1/images/i/{name}/full", _get_image),
        ("POST", "/api/v1/images/delete", _post_delete),
        ("GET", "/api/v2/models/", _get_models),
        ("GET", "/api/v2/models/get_by_attrs", _get_model_by_attrs),
        ("GET", "/api/v2/models/i/{key}", _get_model),
        ("GET", "/_standin/files", _get_files),
        # Any other path is a page of the editor.
        ("GET", "/{path:.*}", _get_page),
    ):
        app.router.add_route(method, path, partial(handler, machine))
    run_beside(app, machine.hub, partial(work, machine))
    return app


async def _get_socket(machine: InvokeMachine, request: web.Request) -> web.StreamResponse:
    return await machine.hub.listen(request)


async def _get_openapi(_: InvokeMachine, __: web.Request) -> web.Response:
    return web.json_response(OPENAPI)


async def _get_version(_: InvokeMachine, __: web.Request) -> web.Response:
    return web.json_response({"version": "6.14.2"})


async def _get_config(_: InvokeMachine, __: web.Request) -> web.Response:
    return web.json_response({"set_fields": [], "config": {"device": "auto", "generation_devices": "auto"}})


async def _get_devices(_: InvokeMachine, __: web.Request) -> web.Response:
    return web.json_response([{"device": "cpu", "name": "CPU"}])


async def _post_batch(machine: InvokeMachine, request: web.Request) -> web.Response:
    body = await request.json()
    if errors := errors_of(body.get("batch")):
        return web.json_response({"detail": errors}, status=422)
    return web.json_response(machine.enqueue(body))


async def _get_status(machine: InvokeMachine, _: web.Request) -> web.Response:
    processor = {"is_started": True, "is_processing": machine.running is not None}
    return web.json_response({"queue": machine.status(), "processor": processor})


async def _get_counts(machine: InvokeMachine, request: web.Request) -> web.Response:
    destination = request.query["destination"]
    counts = machine.counts(destination=destination)
    return web.json_response({"queue_id": "default", "destination": destination, **counts})


async def _get_items(machine: InvokeMachine, request: web.Request) -> web.Response:
    return web.json_response(machine.of(request.query["destination"]))


async def _get_item_ids(machine: InvokeMachine, _: web.Request) -> web.Response:
    return web.json_response({"item_ids": list(machine.items), "total_count": len(machine.items)})


async def _post_summaries(machine: InvokeMachine, request: web.Request) -> web.Response:
    return web.json_response(machine.summaries((await request.json())["item_ids"]))


async def _put_cancel(machine: InvokeMachine, request: web.Request) -> web.Response:
    return web.json_response({"canceled": machine.cancel(machine.of(request.query["destination"]))})


async def _delete_items(machine: InvokeMachine, request: web.Request) -> web.Response:
    return web.json_response({"deleted": machine.forget(machine.of(request.match_info["destination"]))})


async def _post_image(machine: InvokeMachine, request: web.Request) -> web.Response:
    """Store a picture as PNG under a name that the server draws."""
    missing = [name for name in ("image_category", "is_intermediate") if name not in request.query]
    if missing:
        detail = [
            {"type": "missing", "loc": ["query", name], "msg": "Field required", "input": None} for name in missing
        ]
        return web.json_response({"detail": detail}, status=422)
    file = (await request.post()).get("file")
    if not isinstance(file, FileField) or not file.content_type.startswith("image"):
        return web.json_response({"detail": "Not an image"}, status=415)
    try:
        picture = Image.open(file.file)
        target = io.BytesIO()
        picture.save(target, "PNG")
    except (UnidentifiedImageError, OSError):
        return web.json_response({"detail": "Failed to read image"}, status=415)
    name = machine.put_image(target.getvalue())
    told = {"image_name": name, "width": picture.width, "height": picture.height, "is_intermediate": True}
    return web.json_response(told, status=201)


async def _get_image(machine: InvokeMachine, request: web.Request) -> web.StreamResponse:
    path = machine.image(request.match_info["name"])
    return web.json_response({"detail": "Not Found"}, status=404) if path is None else web.FileResponse(path)


async def _post_delete(machine: InvokeMachine, request: web.Request) -> web.Response:
    deleted = [name for name in (await request.json())["image_names"] if machine.delete_image(name)]
    return web.json_response({"affected_boards": [], "deleted_images": deleted, "failed_images": []})


async def _get_models(machine: InvokeMachine, _: web.Request) -> web.Response:
    return web.json_response({"models": machine.models})


async def _get_model_by_attrs(machine: InvokeMachine, request: web.Request) -> web.Response:
    wanted = {key: request.query[key] for key in ("name", "base", "type")}
    return _answer(machine, wanted, "No model found with these attributes")


async def _get_model(machine: InvokeMachine, request: web.Request) -> web.Response:
    return _answer(machine, {"key": request.match_info["key"]}, "model not found")


def _answer(machine: InvokeMachine, wanted: dict[str, Any], otherwise: str) -> web.Response:
    for record in machine.models:
        if wanted.items() <= record.items():
            return web.json_response(record)
    return web.json_response({"detail": otherwise}, status=404)


async def _get_files(machine: InvokeMachine, _: web.Request) -> web.Response:
    """Name all pictures, and the items of the queue."""
    items = [f"item {item_id}" for item_id in machine.items]
    return web.json_response([*(path.name for path in machine.images.iterdir()), *items])


async def _get_page(_: InvokeMachine, __: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html")
