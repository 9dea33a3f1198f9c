"""SD WebUI's addresses under /sdapi/v1."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from runtimes.sdwebui.standin import schema
from runtimes.sdwebui.standin.errors import WebuiError, broken, invalid, rejected
from runtimes.sdwebui.standin.generation import generate
from runtimes.sdwebui.standin.machine import CATALOG, WebuiMachine
from runtimes.sdwebui.standin.pictures import decode, encode, upscaled
from runtimes.standin.control import Control
from runtimes.standin.faults import InjectedError, NoMemoryError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PREFIX = "/sdapi/v1/"
FINISHES_JOBS = True
"""Whether the server ends its jobs before it stops."""
_SCRIPTS = {"controlnet", "animatediff", "adetailer"} | {
    name.lower() for kind in ("txt2img", "img2img") for name in CATALOG["scripts"][kind]
}
_LISTS = ("samplers", "schedulers", "upscalers", "latent-upscale-modes", "face-restorers", "scripts")


def build(control: Control) -> web.Application:
    """Return the application that answers as SD WebUI."""
    app = web.Application(middlewares=[_speak_as_webui], client_max_size=1 << 30)
    machine = WebuiMachine(control)
    for method, path, handler in (
        ("POST", "{kind:(txt2img|img2img)}", _post_generation),
        ("POST", "{kind:(extra-single-image|extra-batch-images)}", _post_extra),
        ("GET", "options", _get_options),
        ("POST", "options", _post_options),
        ("GET", "progress", _get_progress),
        ("POST", "interrupt", _post_interrupt),
        ("GET", "sd-models", _get_models),
        ("POST", "refresh-checkpoints", _post_refresh),
        ("POST", "reload-checkpoint", _post_reload),
        ("GET", "memory", _get_memory),
        ("GET", f"{{list:({'|'.join(_LISTS)})}}", _get_list),
    ):
        app.router.add_route(method, _PREFIX + path, partial(handler, machine))
    return app


def _answer(payload: object, status: int = 200) -> web.Response:
    """Return the payload as JSON, packed as FastAPI packs it."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json", charset=None)


@web.middleware
async def _speak_as_webui(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into the answer that SD WebUI gives for it."""
    try:
        return await handler(request)
    except InjectedError as exc:
        error = broken("OutOfMemoryError" if isinstance(exc, NoMemoryError) else "RuntimeError", str(exc))
    except WebuiError as exc:
        error = exc
    except web.HTTPException as exc:
        error = WebuiError(exc.status, {"detail": exc.reason})
    return _answer(error.body, error.status)


async def _post_generation(machine: WebuiMachine, request: web.Request) -> web.Response:
    kind = request.match_info["kind"]
    values = await schema.read_body(request, kind)
    if kind == "img2img" and values["init_images"] is None:
        raise rejected(404, "Init image not found")
    for name in [*filter(None, [values["script_name"]]), *values["alwayson_scripts"]]:
        if name.lower() not in _SCRIPTS:
            raise rejected(422, f"Script '{name}' not found")
    return _answer(await generate(machine, kind, values))


async def _post_extra(machine: WebuiMachine, request: web.Request) -> web.Response:
    kind = request.match_info["kind"]
    values = await schema.read_body(request, kind)
    listed: list[Any] = values.get("imageList") or [{"data": values.get("image"), "name": ""}]
    missing = [
        (["body", "imageList", index, key], "field required", "value_error.missing")
        for index, one in enumerate(listed)
        for key in ("data", "name")
        if key not in one
    ]
    if missing:
        raise invalid(*missing)
    images = [decode(one["data"]) for one in listed]
    async with machine.job("extras"):
        await asyncio.sleep(machine.control.faults.job_s)
        results = [await asyncio.to_thread(upscaled, image, values) for image in images]
    pictures = [encode(picture, "postprocessing", text, machine.control.painter) for picture, text in results]
    is_single = kind == "extra-single-image"
    return _answer(
        {"html_info": f"<p>{results[0][1]}</p>", **({"image": pictures[0]} if is_single else {"images": pictures})}
    )


async def _get_options(machine: WebuiMachine, _: web.Request) -> web.Response:
    return _answer(machine.options)


async def _post_options(machine: WebuiMachine, request: web.Request) -> web.Response:
    await machine.set_options(await schema.read_object(request))
    return _answer(None)


async def _get_progress(machine: WebuiMachine, _: web.Request) -> web.Response:
    return _answer(machine.progress.as_json())


async def _post_interrupt(machine: WebuiMachine, _: web.Request) -> web.Response:
    """End whatever runs after its present step."""
    machine.progress.interrupted = True
    return _answer({})


async def _get_models(machine: WebuiMachine, _: web.Request) -> web.Response:
    return _answer([one.as_json() for one in machine.checkpoints])


async def _post_refresh(_: WebuiMachine, __: web.Request) -> web.Response:
    """Look for new checkpoint files; there never are any."""
    return _answer(None)


async def _post_reload(machine: WebuiMachine, _: web.Request) -> web.Response:
    if machine.checkpoints:
        machine.load_checkpoint()
    return _answer({})


async def _get_memory(_: WebuiMachine, __: web.Request) -> web.Response:
    """Show memory in bytes; there is no GPU."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return _answer({"ram": {"free": total, "used": 0, "total": total}, "cuda": {"error": "unavailable"}})


async def _get_list(_: WebuiMachine, request: web.Request) -> web.Response:
    return _answer(CATALOG[request.match_info["list"].replace("-", "_")])
