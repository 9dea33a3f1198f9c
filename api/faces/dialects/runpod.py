"""RunPod's serverless endpoints: https://docs.runpod.io/serverless/endpoints/operation-reference."""

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects.dialect import Dialect, DialectCall, JsonWithFiles
from api.http import Answer, Download, Response, Wait
from api.operations.generation import Wanted
from api.operations.history import JobFilter, JobStateError
from api.operations.models import Model
from api.operations.queues import MAX_POSITION
from contract import strict_json
from contract.field_errors import FieldError
from courier.formats.runpod import A1111, COMFYUI, STATUSES, WORKER, endpoint_job, worker_of
from jobs.job import Job, JobState
from runtimes.pictures import PictureRequest

_WAIT_S, _MAX_WAIT_S = 90.0, 300.0
"""How long /runsync is held unless ``?wait=`` says otherwise."""
_COUNTED_S, _MAX_COUNTED = 3600, 1000
"""The jobs that /health counts."""
_MAX_BASE64_BYTES = 15_000_000
"""Larger results come as links: RunPod's own answers have up to 20 MB."""
_POLICY = {"executionTimeout": "execution_seconds", "ttl": "start_seconds"}
_WORKERS = {"sdwebui": A1111}
"""Whose output callers of a type of runtime expect."""
_BASE64_HEAD = re.compile(r"data:[^,]*,")


def run(call: DialectCall) -> Answer:
    """POST /run."""
    return _shown(call, _submitted(call))


def run_sync(call: DialectCall) -> Answer:
    """POST /runsync: held; a job that has not ended in time is polled for by its client."""
    asked = call.request.query.get("wait", "")
    seconds = min(int(asked) / 1000, _MAX_WAIT_S) if re.fullmatch(r"\d{1,9}", asked) else _WAIT_S
    job = _submitted(call)
    return Wait(
        job=job, is_over=lambda latest: latest.state.is_final, seconds=seconds, render=lambda job: _shown(call, job)
    )


def status(call: DialectCall) -> Answer:
    """GET /status/{job}."""
    return _shown(call, call.job(call.path["job"]))


def stream(call: DialectCall) -> Answer:
    """GET /stream/{job}: how far the job is. Nothing is left to stream once it has ended."""
    job = call.job(call.path["job"])
    shown = {**_view(call, job), "stream": []}
    if job.state is JobState.CANCELLED:
        shown["status"] = "FAILED"  # the client takes no other word for the end of a stream
    if job.progress is not None and not job.state.is_final:
        shown["stream"] = [{"output": {"progress": job.progress, "step": job.step, "steps": job.steps}}]
    return JsonWithFiles(shown).answer()


def cancel(call: DialectCall) -> Answer:
    """POST /cancel/{job}."""
    job = call.job(call.path["job"])
    try:
        job = call.cancel(job)
    except JobStateError:
        return _shown(call, call.job(job.id))
    return Response.json(200, {"id": job.id, "status": STATUSES[JobState.CANCELLED]})


def health(call: DialectCall) -> Answer:
    """GET /health: the runtime's queue and servers, and how the caller's jobs of the last hour ended."""
    runtime = call.model(call.path["endpoint"]).runtime.name
    load = call.services.queues.load(runtime)
    recent = JobFilter(runtime=runtime, since_s=time.time() - _COUNTED_S)
    ended = Counter(row["state"] for row in islice(call.services.history.rows(call.tenant, recent), _MAX_COUNTED))
    busy = min(load.running, load.ready_servers)
    jobs = {
        "completed": ended[JobState.SUCCEEDED],
        "failed": ended[JobState.FAILED],
        "inProgress": load.running,
        "inQueue": MAX_POSITION if load.queued is None else load.queued,
        "retried": 0,
    }
    idle = load.ready_servers - busy
    workers = {"idle": idle, "initializing": 0, "ready": load.ready_servers, "running": busy, "throttled": 0}
    return Response.json(200, {"jobs": jobs, "workers": workers})


def purge_queue(call: DialectCall) -> Answer:
    """POST /purge-queue: cancels the caller's waiting jobs."""
    runtime = call.model(call.path["endpoint"]).runtime.name
    removed = call.services.history.cancel_all_waiting(call.tenant, runtime)
    return Response.json(200, {"removed": removed, "status": "completed"})


def error(rejection: RequestError) -> Response:
    """A rejection as RunPod writes it; all errors are in its one text."""
    found = [f"{one.pointer} {one.detail}".strip() for one in rejection.errors]
    return Response.json(rejection.status, {"error": "; ".join(found) or rejection.message}, rejection.headers)


RUNPOD = Dialect(
    name="runpod",
    calls=(
        ("POST", "v2/{endpoint}/run", run),
        ("POST", "v2/{endpoint}/runsync", run_sync),
        ("GET", "v2/{endpoint}/status/{job}", status),
        ("GET", "v2/{endpoint}/stream/{job}", stream),
        ("POST", "v2/{endpoint}/cancel/{job}", cancel),
        ("GET", "v2/{endpoint}/health", health),
        ("POST", "v2/{endpoint}/purge-queue", purge_queue),
    ),
    error=error,
)


def _submitted(call: DialectCall) -> Job:
    model, body = call.model(call.path["endpoint"]), call.json()
    given = body.get("input")
    if not isinstance(given, dict) or not given:
        raise InvalidRequestError([FieldError("input", "is required: an object with what the model takes")])
    if body.get("s3Config"):
        raise InvalidRequestError([FieldError("s3Config", "cannot be had: results stay in the platform's own bucket")])
    worker = COMFYUI if model.runtime.runtime_type.takes_workflows else _WORKERS.get(model.runtime.type)
    task = _policy(body.get("policy") or {}, has_priorities=model.runtime.has_priorities)
    wanted = replace(_wanted(call, model, given), task=task, context={WORKER: worker} if worker else None)
    if webhook := body.get("webhook"):
        wanted = call.with_webhook(wanted, str(webhook))
    try:
        return call.submit(wanted)
    except InvalidRequestError as exc:
        names = {f"deadlines.{ours}": f"policy.{theirs}, in seconds," for theirs, ours in _POLICY.items()}
        errors = [FieldError(names.get(one.pointer, one.pointer), one.detail) for one in exc.errors]
        raise InvalidRequestError(errors) from None


def _wanted(call: DialectCall, model: Model, given: Mapping[str, Any]) -> Wanted:
    """The task of an input: a workflow's own inputs, worker-comfyui's, a picture's parameters, or a task's content."""
    generations = call.services.generations
    is_picture = given.keys() <= PictureRequest.model_fields.keys()
    if model.workflow is not None and not (is_picture and given.keys() - model.workflow.workflow.inputs.keys()):
        return generations.workflow(model.name, model.runtime, given, call.tenant)
    if model.runtime.runtime_type.takes_workflows and "workflow" in given:
        return generations.content(model.runtime, _with_images(given["workflow"], given.get("images") or []))
    if is_picture:
        return call.picture(model, given)
    return generations.content(model.runtime, {**given})


def _with_images(workflow: Any, images: Any) -> Any:
    """A workflow with pictures in place of their names, as worker-comfyui (github.com/runpod-workers) takes them."""
    try:
        pictures = {one["name"]: _data_url(one["image"]) for one in images}
    except (TypeError, KeyError):
        raise InvalidRequestError([FieldError("images", "must be a list of {name, image}, image in base64")]) from None
    nodes = workflow.values() if isinstance(workflow, dict) else ()
    for inputs in (node["inputs"] for node in nodes if isinstance(node, dict) and isinstance(node.get("inputs"), dict)):
        inputs.update(
            {name: pictures[text] for name, text in inputs.items() if isinstance(text, str) and text in pictures}
        )
    return workflow


def _data_url(image: str) -> str:
    return image if _BASE64_HEAD.match(image) else f"data:;base64,{image}"


def _policy(policy: Any, *, has_priorities: bool) -> dict[str, Any]:
    if not isinstance(policy, dict):
        raise InvalidRequestError([FieldError("policy", "must be an object")])
    asked = {name: policy[name] for name in _POLICY if policy.get(name) is not None}
    for name, value in asked.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRequestError([FieldError(f"policy.{name}", "must be a number of milliseconds")])
    task: dict[str, Any] = (
        {"deadlines": {_POLICY[name]: value / 1000 for name, value in asked.items()}} if asked else {}
    )
    return task | ({"priority": "low"} if policy.get("lowPriority") is True and has_priorities else {})


def _shown(call: DialectCall, job: Job) -> Download:
    return JsonWithFiles(_view(call, job)).answer()


def _view(call: DialectCall, job: Job) -> dict[str, Any]:
    """A job with its results in base64, where its caller's worker sends them so and they are small enough."""
    shown, worker = endpoint_job(job, call.links), worker_of(job)
    if job.state is not JobState.SUCCEEDED or worker is None:
        return shown
    sizes = [known.size_bytes if known else _MAX_BASE64_BYTES for _, known in job.results]
    files = [call.base64(file) for file in call.files(job)] if sum(sizes) <= _MAX_BASE64_BYTES else []
    if worker == COMFYUI:
        for image, file in zip(shown["output"]["images"], files, strict=False):
            image |= {"type": "base64", "data": file}
        return shown
    manifest = call.manifest(job)
    info = strict_json.utf8((manifest.get("answer") or {}).get("info") or {})
    images = files or shown["output"]["images"]
    return shown | {"output": {"images": images, "parameters": manifest.get("parameters") or {}, "info": info}}
