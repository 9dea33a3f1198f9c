"""SD WebUI's addresses under /sdapi/v1."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from runtimes.sdwebui.standin import infotext, schema
from runtimes.sdwebui.standin.catalog import ALWAYS_ON, catalog
from runtimes.sdwebui.standin.errors import InvalidError, WebuiHTTPError, answer, field_error, speak_as_webui
from runtimes.sdwebui.standin.extras import upscaled
from runtimes.sdwebui.standin.generation import generate
from runtimes.sdwebui.standin.machine import WebuiMachine
from runtimes.sdwebui.standin.pictures import decode, encode
from runtimes.standin.stage import Stage

FINISHES_JOBS = True
"""Whether the server ends its jobs before it stops."""
JOB_PATHS = frozenset(
    f"/sdapi/v1/{name}" for name in ("txt2img", "img2img", "extra-single-image", "extra-batch-images")
)

_MACHINE = web.AppKey("machine", WebuiMachine)
_RUNNING: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("running", set)
_ROUTES = web.RouteTableDef()


def build(stage: Stage) -> web.Application:
    """Return the application that answers as SD WebUI."""
    app = web.Application(middlewares=[speak_as_webui], client_max_size=1 << 30)
    app[_MACHINE] = WebuiMachine(stage)
    app[_RUNNING] = set()
    app.add_routes(_ROUTES)
    for path, name in (
        ("samplers", "samplers"),
        ("schedulers", "schedulers"),
        ("upscalers", "upscalers"),
        ("latent-upscale-modes", "latent_upscale_modes"),
        ("face-restorers", "face_restorers"),
        ("scripts", "scripts"),
    ):
        app.router.add_get(f"/sdapi/v1/{path}", _lister(name))
    app.on_cleanup.append(_drop_running)
    return app


def _lister(name: str) -> Any:
    async def show(_: web.Request) -> web.Response:
        return answer(catalog()[name])

    return show


async def _drop_running(app: web.Application) -> None:
    for task in app[_RUNNING]:
        task.cancel()
    await asyncio.gather(*app[_RUNNING], return_exceptions=True)


async def _to_its_end(request: web.Request, work: Coroutine[Any, Any, Any]) -> Any:
    """Run the work to its end even if the client goes away."""
    running = request.app[_RUNNING]
    task = asyncio.create_task(work, name=f"standin {request.path}")
    running.add(task)
    task.add_done_callback(running.discard)
    return await asyncio.shield(task)


def _check_scripts(values: dict[str, Any]) -> None:
    names = [values["script_name"]] if values["script_name"] else []
    for name in [*names, *values["alwayson_scripts"]]:
        known = ALWAYS_ON | {one.lower() for one in catalog()["scripts"]["txt2img"] + catalog()["scripts"]["img2img"]}
        if name.lower() not in known:
            raise WebuiHTTPError(422, f"Script '{name}' not found")
    for name, script in values["alwayson_scripts"].items():
        if name.lower() == "controlnet" and isinstance(script, dict):
            for unit in script.get("args") or []:
                _check_control_image(unit)


def _check_control_image(unit: object) -> None:
    given = unit.get("image", unit.get("input_image")) if isinstance(unit, dict) else None
    image = given.get("image") if isinstance(given, dict) else given
    if image is not None:
        decode(image)


@_ROUTES.post("/sdapi/v1/{kind:(txt2img|img2img)}")
async def post_generation(request: web.Request) -> web.Response:
    """Draw pictures from a prompt, and a picture."""
    machine, kind = request.app[_MACHINE], request.match_info["kind"]
    values = await schema.read_body(request, kind)
    if kind == "img2img" and values["init_images"] is None:
        raise WebuiHTTPError(404, "Init image not found")
    _check_scripts(values)
    result = await _to_its_end(request, generate(machine, kind, values))
    return answer(result)


async def _upscale(machine: WebuiMachine, encoded: list[str], values: dict[str, Any]) -> tuple[str, list[str]]:
    images = [decode(one) for one in encoded]
    async with machine.job("extras"):
        await asyncio.sleep(machine.stage.faults.now.job_s)
        results = [await asyncio.to_thread(upscaled, image, values) for image in images]
    texts = [", ".join(f"{key}: {infotext.quoted(value)}" for key, value in told.items()) for _, told in results]
    pictures = [
        encode(picture, {"postprocessing": text} if text else {}, machine.options, machine.stage.painter)
        for (picture, _), text in zip(results, texts, strict=True)
    ]
    return f"<p>{texts[0] if texts else ''}</p>", pictures


@_ROUTES.post("/sdapi/v1/{kind:(extra-single-image|extra-batch-images)}")
async def post_extra(request: web.Request) -> web.Response:
    """Resize one picture, or several."""
    machine, kind = request.app[_MACHINE], request.match_info["kind"]
    values = await schema.read_body(request, kind)
    is_single = kind == "extra-single-image"
    encoded = [values["image"]] if is_single else [one["data"] for one in values["imageList"]]
    html, pictures = await _to_its_end(request, _upscale(machine, encoded, values))
    return answer({"html_info": html, **({"image": pictures[0]} if is_single else {"images": pictures})})


@_ROUTES.get("/sdapi/v1/options")
async def get_options(request: web.Request) -> web.Response:
    """Show every option."""
    return answer(request.app[_MACHINE].options.as_json())


@_ROUTES.post("/sdapi/v1/options")
async def post_options(request: web.Request) -> web.Response:
    """Set options."""
    change = await schema.read_object(request)
    await _to_its_end(request, request.app[_MACHINE].set_options(change))
    return answer(None)


@_ROUTES.get("/sdapi/v1/progress")
async def get_progress(request: web.Request) -> web.Response:
    """Show what runs."""
    asked = request.query.get("skip_current_image", "false")
    try:
        skip = schema.take_bool(asked)
    except schema.WrongError as error:
        raise InvalidError([field_error(["query", "skip_current_image"], str(error), error.kind)]) from error
    return answer(request.app[_MACHINE].progress.as_json(with_image=not skip))


@_ROUTES.post("/sdapi/v1/interrupt")
async def post_interrupt(request: web.Request) -> web.Response:
    """End whatever runs after its present step."""
    request.app[_MACHINE].progress.interrupted = True
    return answer({})


@_ROUTES.post("/sdapi/v1/skip")
async def post_skip(request: web.Request) -> web.Response:
    """End the batch that runs after its present step."""
    request.app[_MACHINE].progress.skipped = True
    return answer(None)


@_ROUTES.get("/sdapi/v1/sd-models")
async def get_models(request: web.Request) -> web.Response:
    """Show the checkpoints."""
    return answer([one.as_json() for one in request.app[_MACHINE].checkpoints.all])


@_ROUTES.post("/sdapi/v1/refresh-checkpoints")
async def post_refresh(_: web.Request) -> web.Response:
    """Look for new checkpoint files; there never are any."""
    return answer(None)


@_ROUTES.post("/sdapi/v1/unload-checkpoint")
async def post_unload(request: web.Request) -> web.Response:
    """Drop the model at once, also under a running job."""
    machine = request.app[_MACHINE]
    machine.checkpoints.unload(running=machine.lock.locked())
    return answer({})


@_ROUTES.post("/sdapi/v1/reload-checkpoint")
async def post_reload(request: web.Request) -> web.Response:
    """Load the model again."""
    machine = request.app[_MACHINE]
    machine.checkpoints.reload(machine.options["sd_model_checkpoint"])
    return answer({})


@_ROUTES.get("/sdapi/v1/memory")
async def get_memory(_: web.Request) -> web.Response:
    """Show memory in bytes; there is no GPU."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return answer({"ram": {"free": total, "used": 0, "total": total}, "cuda": {"error": "unavailable"}})


@_ROUTES.get("/sdapi/v1/sd-vae")
@_ROUTES.get("/sdapi/v1/loras")
@_ROUTES.get("/sdapi/v1/hypernetworks")
@_ROUTES.get("/sdapi/v1/prompt-styles")
async def get_nothing(_: web.Request) -> web.Response:
    """Show an empty list: there are none of these."""
    return answer([])


@_ROUTES.get("/sdapi/v1/embeddings")
async def get_embeddings(_: web.Request) -> web.Response:
    """Show that there are no embeddings."""
    return answer({"loaded": {}, "skipped": {}})
