"""SD WebUI's API: https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API.

A POST is held until its pictures are there; what clients choose from is in ``sdwebui_models``.
"""

import base64
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from api.errors import RequestError
from api.faces.dialects import sdwebui_models as models
from api.faces.dialects.dialect import Dialect, DialectCall, Handler, JsonWithFiles
from api.http import Answer, Download, Response, Wait
from api.operations.generation import Wanted
from api.operations.history import JobFilter
from contract import strict_json
from contract.task import CHECKPOINT_ATTRIBUTE
from jobs.job import Job, JobState
from jobs.schema import KEY
from runtimes.pictures import PictureRequest, task_of

_TASK_ID = "sdwebui"
"""What the jobs of this dialect are called, by which /progress and /interrupt find them."""
_HELD_S = 600
_OPEN_S = 2 * 3600
"""No client waits longer for a job, so that an older one is not the one that it asks about."""
_OPEN = (JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING)
_OVERRIDES = "override_settings"
_APPLIED = ("sd_vae", "CLIP_stop_at_last_layers")
"""Options besides the checkpoint that change pictures."""
_NOT_FOR_SERVERS = ("url", "auth")
"""SillyTavern sends along where it sends its request, and the key."""
_ONE, _BATCH = "extra-single-image", "extra-batch-images"


def generate(task_type: str) -> Handler:
    """POST /txt2img and /img2img."""

    def handler(call: DialectCall) -> Answer:
        body, options = _body(call), models.stored_options(call)
        drawer = models.drawer_of(call, body, options)
        if drawer.model.runtime.type == models.RUNTIME_TYPE:
            content = _content(body, drawer, options)
            wanted = call.services.generations.content(drawer.model.runtime, content, task_type)
        else:
            wanted = call.picture(drawer.model, _picture(body))
        return _held(call, _submitted(call, replace(wanted, keeps_previews=options.get(models.PREVIEWS) is True)))

    return handler


def upscale(task_type: str) -> Handler:
    """POST /extra-single-image and /extra-batch-images, which every server of type sdwebui does."""

    def handler(call: DialectCall) -> Answer:
        runtime = next((one for one in call.services.catalog if one.type == models.RUNTIME_TYPE), None)
        if runtime is None:
            raise RequestError(404, "not_found", "No runtime of type sdwebui is here; only those upscale.")
        return _held(call, _submitted(call, call.services.generations.content(runtime, _body(call), task_type)))

    return handler


def wait(call: DialectCall) -> Answer:
    """Our own GET to which a POST leads whose picture takes longer than the shell waits."""
    return _held(call, call.job(call.path["job"]), here="")


def progress(call: DialectCall) -> Answer:
    """GET /progress: of the caller's newest job here."""
    job = _newest(call)
    state = {"skipped": False, "interrupted": False, "job": "", "job_count": 0, "job_timestamp": "0", "job_no": 0}
    shown: dict[str, Any] = {"progress": 0.0, "eta_relative": 0.0, "current_image": None, "textinfo": None}
    if job is not None:
        state |= {"job": job.id, "job_count": 1, "interrupted": job.cancel_requested}
        shown["progress"] = job.progress or 0.0
        if job.state is not JobState.RUNNING:
            shown["textinfo"] = "Waiting for a server"
        preview = call.preview(job)
        if preview is not None and call.request.query.get("skip_current_image", "").lower() != "true":
            with suppress(RequestError):  # the job may just have ended
                shown["current_image"] = base64.b64encode(call.bytes_of(preview)).decode()
    steps = {"sampling_step": (job and job.step) or 0, "sampling_steps": (job and job.steps) or 0}
    return Response.json(200, {**shown, "state": {**state, **steps}})


def interrupt(call: DialectCall) -> Answer:
    """POST /interrupt: cancel the caller's newest job here."""
    if (job := _newest(call)) is not None:
        with suppress(RequestError):  # it has just ended
            call.cancel(job)
    return Response.json(200, {})


def constant(value: Any) -> Handler:
    """What is the same for everybody: lists that this platform leaves empty, and orders that it needs not."""
    return lambda _: Response.json(200, value)


def error(rejection: RequestError) -> Response:
    """A rejection as SD WebUI writes it."""
    detail = "; ".join(f"{one.pointer} {one.detail}".strip() for one in rejection.errors) or rejection.message
    shown = {"error": rejection.code, "detail": detail, "body": "", "errors": detail}
    return Response.json(rejection.status, shown, rejection.headers)


SDWEBUI = Dialect(
    name="sdwebui",
    calls=tuple(
        (method, f"sdapi/v1{path}", handler)
        for method, path, handler in (
            ("POST", "/txt2img", generate("text-to-image")),
            ("POST", "/img2img", generate("image-to-image")),
            ("POST", "/extra-single-image", upscale(_ONE)),
            ("POST", "/extra-batch-images", upscale(_BATCH)),
            ("GET", "/jobs/{job}", wait),
            ("GET", "/options", models.options),
            ("POST", "/options", models.set_options),
            ("GET", "/progress", progress),
            ("POST", "/interrupt", interrupt),
            ("POST", "/skip", interrupt),
            ("GET", "/sd-models", models.checkpoints),
            ("GET", "/samplers", models.samplers),
            ("GET", "/schedulers", models.schedulers),
            ("GET", "/upscalers", models.upscalers),
            ("GET", "/loras", models.loras),
            ("GET", "/sd-vae", models.vaes),
            ("GET", "/scripts", constant({"txt2img": [], "img2img": []})),
            ("GET", "/embeddings", constant({"loaded": {}, "skipped": {}})),
            *(("GET", f"/{name}", constant({})) for name in ("cmd-flags", "memory")),
            *(
                ("GET", f"/{name}", constant([]))
                for name in (
                    *("latent-upscale-modes", "hypernetworks", "face-restorers", "realesrgan-models"),
                    *("prompt-styles", "script-info", "extensions"),
                )
            ),
            *(("POST", f"/refresh-{name}", constant({})) for name in ("checkpoints", "vae", "loras")),
            *(("POST", f"/{name}", constant({})) for name in ("unload-checkpoint", "reload-checkpoint")),
        )
    ),
    error=error,
)


def _body(call: DialectCall) -> dict[str, Any]:
    return {name: value for name, value in call.json().items() if name not in _NOT_FOR_SERVERS}


def _content(body: Mapping[str, Any], drawer: models.Drawer, options: Mapping[str, Any]) -> dict[str, Any]:
    """A request as SD WebUI is to have it: the client's own, with what the client prefers where it says nothing."""
    applied = {name: options[name] for name in _APPLIED if options.get(name) is not None}
    given = body.get(_OVERRIDES)
    settings = {**applied, **given} if isinstance(given, dict) else applied if given is None else given
    content = {name: value for name, value in body.items() if name != CHECKPOINT_ATTRIBUTE}
    if isinstance(settings, dict):
        settings.pop(CHECKPOINT_ATTRIBUTE, None)
        if drawer.checkpoint is not None:
            settings[CHECKPOINT_ATTRIBUTE] = drawer.checkpoint
    defaults: dict[str, Any] = {}
    if drawer.model.defaults:
        _, defaults = task_of(PictureRequest(prompt="-", **drawer.model.defaults), drawer.model.runtime)
    return {**defaults, **content, _OVERRIDES: settings}


def _picture(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request in the words that all runtimes share; what only SD WebUI knows, such as samplers, is left out."""
    seed, images = body.get("seed"), body.get("init_images") or [None]
    picture = {
        "prompt": body.get("prompt"),
        "negative_prompt": body.get("negative_prompt") or None,
        "width": body.get("width"),
        "height": body.get("height"),
        "n": _number(body.get("n_iter")) * _number(body.get("batch_size")),
        "seed": None if seed == -1 else seed,
        "steps": body.get("steps"),
        "guidance": body.get("cfg_scale"),
    }
    if (image := images[0] if isinstance(images, list) else images) is not None:
        picture |= {"image": image, "mask": body.get("mask"), "strength": body.get("denoising_strength")}
    return picture


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 1


def _submitted(call: DialectCall, wanted: Wanted) -> Job:
    return call.submit(replace(wanted, task_id=_TASK_ID))


def _held(call: DialectCall, job: Job, here: str = "jobs/") -> Wait:
    def render(latest: Job) -> Response | Download:
        if not latest.state.is_final:
            # Relative, so that it holds wherever this dialect's root is.
            return Response(status=303, headers={"Location": f"{here}{latest.id}", "Cache-Control": "no-store"})
        if latest.state is not JobState.SUCCEEDED:
            failure = latest.error
            if failure is None:
                raise RequestError(400, latest.state.value, f"The job {latest.id} is {latest.state}.")
            raise RequestError(400, failure.code, failure.message)
        return _result(call, latest)

    return Wait(job=job, is_over=lambda latest: latest.state.is_final, seconds=_HELD_S, render=render)


def _result(call: DialectCall, job: Job) -> Download:
    images = [call.base64(file) for file in call.files(job)]
    if job.tasktype == _ONE:
        return JsonWithFiles({"html_info": "", "image": images[0]}).answer()
    if job.tasktype == _BATCH:
        return JsonWithFiles({"html_info": "", "images": images}).answer()
    manifest, seeds = call.manifest(job), [one.seed for one in job.outputs]
    info = {"all_seeds": seeds, "seed": next(iter(seeds), None), "sd_model_name": manifest.get("model")}
    info |= (manifest.get("answer") or {}).get("info") or {}
    shown = {"parameters": manifest.get("parameters") or {}, "info": strict_json.utf8(info)}
    return JsonWithFiles({"images": images, **shown}).answer()


def _newest(call: DialectCall) -> Job | None:
    """The caller's newest job here that runs, else the newest that waits; None where all have ended."""
    wanted = JobFilter(states=_OPEN, task_id=_TASK_ID, since_s=time.time() - _OPEN_S)
    waiting = None
    for row in call.services.history.rows(call.tenant, wanted):
        if row["state"] == JobState.RUNNING:
            return call.job(row[KEY])
        waiting = waiting or row
    return None if waiting is None else call.job(waiting[KEY])
