"""fal's queue and its synchronous calls: https://docs.fal.ai/model-apis/model-endpoints/queue.

One base serves all: ``queue`` and ``run`` are fal's two hosts, and at ``proxy`` its JavaScript client says in a header
which of them a call is for.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from api.errors import BudgetError, InvalidRequestError, RequestError
from api.faces.dialects.dialect import Dialect, DialectCall
from api.faces.dialects.fal_input import PARAMETERS, app_of, model_of, picture
from api.faces.dialects.fal_status import RunEvents, StatusEvents, is_over, status_of
from api.http import Answer, Response, Stream, Wait
from api.operations.history import JobStateError
from contract.field_errors import FieldError
from contract.queues import Priority
from courier.formats.fal import failure, pictures
from jobs.job import Job, JobState

_TARGET = "x-fal-target-url"
_HOSTS = {"queue.fal.run": "queue", "fal.run": "run"}
_REQUEST = re.compile(r"(?P<app>.+)/requests/(?P<job>[^/]+)(?P<what>(?:/status(?:/stream)?|/cancel)?)")
_HELD_STATUS_S = 4
"""How long a status is held that does not change: its clients ask again at once, ten times a second."""
_HELD_RUN_S = 600
_STREAM = "/stream"
_CANCELLED = HTTPStatus.GONE
_FAILED = HTTPStatus.BAD_REQUEST
"""Of results: its clients ask again after 408, 409, 429 and most of 5xx."""
_RETRIED_S = 51
"""How long its Python client goes on trying after a 429; it does not read Retry-After."""


def submit(call: DialectCall) -> Answer:
    """POST queue/{app}: submit a request."""
    job = _submitted(call, call.path["app"])
    return Response.json(200, {**_urls(call, job), "status": "IN_QUEUE"}, _id(job))


def read(call: DialectCall) -> Answer:
    """GET queue/{app}/requests/{id}, …/status and …/status/stream."""
    job, what = _requested(call)
    if what == "/status":
        return _status(call, job)
    if what == "/status/stream":
        return Stream(job=job, source=StatusEvents(lambda latest: _shown(call, latest)))
    if what == "":
        return _result(call, job)
    raise RequestError(405, "method_not_allowed", "Cancel by PUT.", headers={"Allow": "PUT"})


def change(call: DialectCall) -> Answer:
    """PUT queue/{app}/requests/{id}/cancel."""
    job, what = _requested(call)
    if what != "/cancel":
        raise RequestError(405, "method_not_allowed", "Only …/cancel takes PUT.", headers={"Allow": "GET"})
    try:
        call.cancel(job)
    except JobStateError:
        message = "The request has ended."
        body = {"status": "ALREADY_COMPLETED", "detail": message, "message": message}
        return Response.json(400, body, _id(job))
    return Response.json(202, {"status": "CANCELLATION_REQUESTED"}, _id(job))


def run(call: DialectCall) -> Answer:
    """POST run/{app}: submit and wait; with ``/stream`` at its end, tell how far it is."""
    app = call.path["app"]
    if app.endswith(_STREAM):
        job = _submitted(call, app.removesuffix(_STREAM))
        return Stream(job=job, source=RunEvents(lambda latest: _outcome(call, latest)))
    return _held(call, _submitted(call, app))


def wait(call: DialectCall) -> Answer:
    """GET run/requests/{id}: our own, to which ``run`` leads where a picture takes longer than the gateway waits."""
    return _held(call, call.job(call.path["job"]))


def proxied(call: DialectCall) -> Answer:
    """A call of the JavaScript client with ``proxyUrl``: its target is in a header."""
    try:
        target = urlsplit(call.request.headers.get(_TARGET, ""))
        host = _HOSTS[target.hostname or ""]
    except (ValueError, KeyError):
        message = f"{_TARGET} must be a URL of {' or '.join(_HOSTS)}; send files as data: or https: URLs."
        raise RequestError(400, "invalid_request", message) from None
    path = f"{call.dialect}/{host}/{target.path.strip('/')}"
    request = replace(call.request, path=path, query=dict(parse_qsl(target.query)))
    return FAL.answer(request, call.services)


def error(rejection: RequestError) -> Response:
    """A rejection; its Python client shows ``detail``, the one for JavaScript ``message``."""
    status, detail = rejection.status, rejection.message
    if isinstance(rejection, BudgetError) and int(rejection.headers["Retry-After"]) > _RETRIED_S:
        status = 403
    body: dict[str, Any] = {"detail": detail, "message": detail, "error_type": rejection.code}
    if isinstance(rejection, InvalidRequestError):
        status = 422
        rows = [{"loc": ["body", *_place(one)], "msg": one.detail, "type": "value_error"} for one in rejection.errors]
        body = {"detail": rows, "message": "; ".join(f"{one.pointer} {one.detail}".strip() for one in rejection.errors)}
    return Response.json(status, body, {**rejection.headers, "x-fal-error-type": rejection.code})


FAL = Dialect(
    name="fal",
    calls=(
        ("POST", "queue/{app...}", submit),
        ("GET", "queue/{app...}", read),
        ("PUT", "queue/{app...}", change),
        ("GET", "run/requests/{job}", wait),
        ("POST", "run/{app...}", run),
        *((method, "proxy", proxied) for method in ("GET", "POST", "PUT")),
    ),
    error=error,
)


def _submitted(call: DialectCall, app: str) -> Job:
    body = call.json()
    model = model_of(call, app)
    wanted = call.picture(model, picture(body), body, PARAMETERS)
    wanted = replace(wanted, context={"model": app}, task=_task(call, wanted.runtime.has_priorities))
    if url := call.request.query.get("fal_webhook"):
        wanted = call.with_webhook(wanted, url)
    return call.submit(wanted)


def _task(call: DialectCall, has_priorities: bool) -> Mapping[str, Any]:
    """What the task's metadata has of the request's headers."""
    headers, task = call.request.headers, {}
    if has_priorities and headers.get("x-fal-queue-priority") == "low":
        task["priority"] = Priority.LOW
    try:
        seconds = float(headers.get("x-fal-request-timeout", ""))
    except ValueError:
        return task
    return {**task, "deadlines": {"start_seconds": seconds}} if seconds > 0 else task


def _requested(call: DialectCall) -> tuple[Job, str]:
    found = _REQUEST.fullmatch(call.path["app"])
    if found is None:
        raise RequestError(404, "not_found", "There is no such path; a request is at APP/requests/ID.")
    return call.job(found["job"]), found["what"]


def _status(call: DialectCall, job: Job) -> Answer:
    has_logs = call.request.query.get("logs") in {"1", "true"}
    return Wait(
        job=job,
        is_over=is_over(job, has_logs=has_logs),
        seconds=_HELD_STATUS_S,
        render=lambda latest: Response.json(200, _shown(call, latest), _id(latest)),
    )


def _shown(call: DialectCall, job: Job) -> dict[str, Any]:
    return {**status_of(call, job), **_urls(call, job)}


def _result(call: DialectCall, job: Job) -> Response:
    if not job.state.is_final and not job.cancel_requested:
        message = "The request is still in progress."
        return Response.json(400, {"detail": message, "message": message}, _id(job))
    return _outcome_of(job, lambda: pictures(job, call.links))


def _held(call: DialectCall, job: Job) -> Wait:
    def render(latest: Job) -> Response:
        if not latest.state.is_final:
            here = f"{call.base_url}/run/requests/{latest.id}"
            return Response(status=303, headers={"Location": here, "Cache-Control": "no-store"})
        return _outcome_of(latest, lambda: pictures(latest, call.links))

    return Wait(job=job, is_over=lambda latest: latest.state.is_final, seconds=_HELD_RUN_S, render=render)


def _outcome_of(job: Job, result: Callable[[], dict[str, Any]]) -> Response:
    if job.state is JobState.SUCCEEDED:
        return Response.json(200, result(), {**_id(job), "Cache-Control": "no-store"})
    body = failure(job)
    status = _FAILED if job.state is JobState.FAILED else _CANCELLED
    return Response.json(status, body, {**_id(job), "x-fal-error-type": body["error_type"]})


def _outcome(call: DialectCall, job: Job) -> dict[str, Any]:
    return pictures(job, call.links) if job.state is JobState.SUCCEEDED else failure(job)


def _urls(call: DialectCall, job: Job) -> dict[str, Any]:
    here = f"{call.base_url}/queue/{app_of(job)}/requests/{job.id}"
    return {
        "request_id": job.id,
        "response_url": here,
        "status_url": f"{here}/status",
        "cancel_url": f"{here}/cancel",
    }


def _id(job: Job) -> dict[str, str]:
    return {"x-fal-request-id": job.id}


def _place(one: FieldError) -> list[str]:
    return [part for part in one.pointer.split(".") if part]
