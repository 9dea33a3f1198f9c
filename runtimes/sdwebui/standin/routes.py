"""SD WebUI's routes under /sdapi/v1."""

import asyncio
import json
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
"""Whether the server finishes its jobs before it stops."""
_SCRIPTS = {"controlnet", "animatediff", "adetailer"} | {
    name.lower() for kind in ("txt2img", "img2img") for name in CATALOG["scripts"][kind]
}


def build(control: Control) -> web.Application:
    """Return the application that answers like SD WebUI."""
    app = web.Application(middlewares=[_speak_as_webui], client_max_size=1 << 30)
    machine = WebuiMachine(control)
    for path, handler in (
        ("{kind:(txt2img|img2img)}", _post_generation),
        ("{kind:(extra-single-image|extra-batch-images)}", _post_extra),
        ("options", _post_options),
    ):
        app.router.add_post(_PREFIX + path, partial(handler, machine))
    app.router.add_get(f"{_PREFIX}progress", partial(_get_progress, machine))
    for (method, path), payload in _PAYLOADS.items():
        app.router.add_route(method, _PREFIX + path, partial(_tell, machine, payload))
    return app


def _answer(payload: object, status: int = 200) -> web.Response:
    """Return the payload as JSON in FastAPI's compact format."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json", charset=None)


@web.middleware
async def _speak_as_webui(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into SD WebUI's answer for it."""
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


async def _post_options(machine: WebuiMachine, request: web.Request) -> web.Response:
    await machine.set_options(await schema.read_object(request))
    return _answer(None)


async def _get_progress(machine: WebuiMachine, request: web.Request) -> web.Response:
    image = None if request.query.get("skip_current_image") == "true" else await machine.current_image()
    return _answer({**machine.progress.as_json(), "current_image": image})


async def _tell(machine: WebuiMachine, payload: Callable[[WebuiMachine], Any], _: web.Request) -> web.Response:
    return _answer(payload(machine))


_PAYLOADS: dict[tuple[str, str], Callable[[WebuiMachine], Any]] = {
    ("GET", "options"): WebuiMachine.read_options,
    ("POST", "interrupt"): WebuiMachine.interrupt,
    ("GET", "sd-models"): lambda machine: [one.as_json() for one in machine.checkpoints],
    ("GET", "sd-vae"): lambda _: [],
    ("GET", "loras"): lambda _: [],
    ("POST", "refresh-checkpoints"): WebuiMachine.refresh_checkpoints,
    ("POST", "refresh-vae"): lambda _: None,
    ("POST", "refresh-loras"): lambda _: None,
    ("POST", "refresh-upscalers"): lambda _: None,
    ("POST", "reload-checkpoint"): WebuiMachine.reload_checkpoint,
    ("GET", "memory"): lambda _: {"ram": {}, "cuda": {"error": "unavailable"}},
    ("GET", "samplers"): lambda _: CATALOG["samplers"],
    ("GET", "schedulers"): lambda _: CATALOG["schedulers"],
    ("GET", "upscalers"): lambda _: CATALOG["upscalers"],
    ("GET", "latent-upscale-modes"): lambda _: CATALOG["latent_upscale_modes"],
    ("GET", "scripts"): lambda _: CATALOG["scripts"],
}
"""Answers that do not depend on the request."""
