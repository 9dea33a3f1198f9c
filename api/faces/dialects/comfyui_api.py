"""comfyui-api, a server before ComfyUI whose users post by hand: https://github.com/SaladTechnologies/comfyui-api."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects.dialect import Dialect, DialectCall, JsonWithFiles
from api.http import Answer, Download, Response, Wait
from api.operations.generation import Wanted
from api.operations.history import JobFilter, JobStateError
from contract.deadlines import DEFAULT_DEADLINES
from contract.field_errors import FieldError
from contract.webhooks import WebhookForm
from courier.formats.comfyui_api import BUCKET, bucket_of, failure, filenames, images, stats
from jobs.job import Job, JobState
from runtimes.catalog import DeployedRuntime
from runtimes.comfyui.graph import split

_VERSION = "1.18.0"
"""Of comfyui-api, whose bodies these are."""
_HELD_S = 600
_PREFIX = "filename_prefix"
_CANNOT: Mapping[str, str] = {
    "convert_output": "cannot be had: the pictures stay as the workflow saves them; let it save them in that format",
    "http_upload": "cannot be had: results stay in the platform's own bucket",
    "azure_blob_upload": "cannot be had: results stay in the platform's own bucket",
    "hf_upload": "cannot be had: results stay in the platform's own bucket",
    "credentials": "cannot be had: put links into the workflow that need none",
}
_OPEN = (JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING)


def prompt(call: DialectCall) -> Answer:
    """POST /prompt."""
    body = call.json()
    try:
        wanted = call.services.generations.content(_runtime(call), body.get("prompt"))
    except InvalidRequestError as exc:
        errors = [FieldError(f"prompt.{one.pointer}".rstrip("."), one.detail) for one in exc.errors]
        raise InvalidRequestError(errors) from None
    return _submitted(call, body, wanted)


def workflow(call: DialectCall) -> Answer:
    """POST /workflow/{name}: a named workflow of the caller's."""
    body, name = call.json(), call.path["name"]
    call.services.workflows.get(call.tenant, name)
    wanted = call.services.generations.workflow(name, _runtime(call), body.get("input", {}), call.tenant)
    return _submitted(call, body, wanted)


def wait(call: DialectCall) -> Answer:
    """Our own GET to which a POST leads whose job takes longer than the gateway waits."""
    job = call.job(call.path["job"])
    try:
        graph = split(call.services.history.content(job))[0]
    except RequestError:  # requests are not kept
        graph = None
    return _held(call, job, {"id": job.task_id, "prompt": graph})


def interrupt(call: DialectCall) -> Answer:
    """POST /interrupt: cancels the caller's newest open job of an id."""
    task_id = call.json().get("id")
    since_s = time.time() - DEFAULT_DEADLINES.max_start_s - DEFAULT_DEADLINES.max_execution_s
    wanted = JobFilter(task_id=str(task_id), states=_OPEN, since_s=since_s)
    row = next(call.services.history.rows(call.tenant, wanted), None)
    try:
        if row is not None:
            call.cancel(call.job(str(row["pk"])))
            return Response.json(200, {"id": task_id, "interrupted": "success"})
    except JobStateError:
        pass  # it has ended meanwhile
    return Response.json(404, {"id": task_id, "interrupted": "failed"})


def health(call: DialectCall) -> Answer:  # noqa: ARG001 (the same for all)
    """GET /health."""
    return Response.json(200, {"version": _VERSION, "status": "healthy"})


def ready(call: DialectCall) -> Answer:  # noqa: ARG001 (the same for all)
    """GET /ready: always, since a runtime without servers starts them for the jobs that wait."""
    return Response.json(200, {"version": _VERSION, "status": "ready"})


def models(call: DialectCall) -> Answer:
    """GET /models: what the runtime's servers have, by ComfyUI's folders."""
    live = _runtime(call).live()
    names = ("models", "loras", "vaes", "upscalers")
    found = [[one.name for one in getattr(live, name)] if live else [] for name in names]
    return Response.json(200, dict(zip(("checkpoints", "loras", "vae", "upscale_models"), found, strict=True)))


def error(rejection: RequestError) -> Response:
    """A rejection as comfyui-api writes it, with all errors in one text."""
    found = [f"{one.pointer} {one.detail}".strip() for one in rejection.errors]
    message = "; ".join(found) or rejection.message
    shown = {"statusCode": rejection.status, "error": HTTPStatus(rejection.status).phrase, "message": message}
    if rejection.errors:
        shown |= {"error": message, "location": rejection.errors[0].pointer.partition(".")[0] or "body"}
    return Response.json(rejection.status, shown, rejection.headers)


COMFYUI_API = Dialect(
    name="comfyui-api",
    calls=(
        ("POST", "prompt", prompt),
        ("POST", "workflow/{name}", workflow),
        ("GET", "jobs/{job}", wait),
        ("POST", "interrupt", interrupt),
        ("GET", "health", health),
        ("GET", "ready", ready),
        ("GET", "models", models),
    ),
    error=error,
)


def _runtime(call: DialectCall) -> DeployedRuntime:
    """The runtime that ``?runtime=`` names, or else the first that runs workflows."""
    return call.services.models.for_workflows("comfy", call.request.query.get("runtime", ""))


def _submitted(call: DialectCall, body: Mapping[str, Any], wanted: Wanted) -> Answer:
    errors = [FieldError(name, problem) for name, problem in _CANNOT.items() if body.get(name)]
    s3, task_id = body.get("s3") or {}, body.get("id") or str(uuid.uuid4())
    if not isinstance(s3, dict) or (s3 and s3.get("bucket") != call.services.bucket):
        errors.append(FieldError("s3", f"must name the platform's own bucket, {call.services.bucket}"))
    if body.get("webhook") and body.get("webhook_v2"):
        errors.append(FieldError("webhook", "cannot be had beside webhook_v2"))
    if errors:
        raise InvalidRequestError(errors)
    task = {"id": task_id, **({"prefix": s3["prefix"]} if s3.get("prefix") else {})}
    context = {BUCKET: call.services.bucket} if s3 else None
    wanted = replace(wanted, content=_named(wanted.content, str(task_id)), task=task, context=context)
    if url := body.get("webhook_v2") or body.get("webhook"):
        wanted = call.with_webhook(wanted, str(url))
        if not body.get("webhook_v2"):
            form = WebhookForm(dialect="comfyui-api-legacy", base_url=call.request.base_url)
            wanted = replace(wanted, webhook_form=form)
    job = call.submit(wanted)
    echo = {**body, "id": job.task_id, "prompt": split(wanted.content)[0]}
    if url or s3.get("async") is True:
        return Response.json(202, {**echo, "status": "ok"})
    return _held(call, job, echo)


def _named(content: Mapping[str, Any], task_id: str) -> dict[str, Any]:
    """A workflow whose files are named after the id, as comfyui-api does."""
    graph, beside = split(content)
    if not any(isinstance(node["inputs"].get(_PREFIX), str) for node in graph.values()):
        detail = f'must contain a node with a "{_PREFIX}" input, such as "SaveImage"'
        raise InvalidRequestError([FieldError("prompt", detail)])
    named = {
        key: {**node, "inputs": {**node["inputs"], _PREFIX: f"{task_id}_{node['inputs'][_PREFIX]}"}}
        if isinstance(node["inputs"].get(_PREFIX), str)
        else node
        for key, node in graph.items()
    }
    return {**beside, "prompt": named} if beside else named


def _held(call: DialectCall, job: Job, echo: Mapping[str, Any]) -> Wait:
    def render(latest: Job) -> Response | Download:
        if not latest.state.is_final:
            here = f"{call.base_url}/jobs/{latest.id}"
            return Response(status=303, headers={"Location": here, "Cache-Control": "no-store"})
        if latest.state is not JobState.SUCCEEDED:
            # Not 500, after which some clients post the job again.
            raise RequestError(422, latest.state.value, failure(latest))
        inline = [call.base64(file) for file in call.files(latest)] if bucket_of(latest) is None else None
        pictures = images(latest, call.links) if inline is None else inline
        return JsonWithFiles(
            {**echo, "images": pictures, "filenames": filenames(latest), "stats": stats(latest)}
        ).answer()

    return Wait(job=job, is_over=lambda latest: latest.state.is_final, seconds=_HELD_S, render=render)
