"""Replicate's HTTP API: https://replicate.com/docs/reference/http."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects.dialect import Dialect, DialectCall
from api.faces.dialects.replicate_events import PredictionEvents
from api.faces.dialects.replicate_files import create_file, delete_file, file, sent_files
from api.faces.dialects.replicate_models import (
    PARAMETERS,
    model,
    models,
    named,
    of_version,
    picture,
    version,
    versions,
    with_owner,
)
from api.http import Answer, Response, Stream, Wait
from api.operations.history import JobFilter, JobStateError
from api.operations.models import Model
from api.operations.outputs import StoredFile
from contract.field_errors import FieldError
from contract.ids import JOB_ID_PATTERN
from contract.signatures import StreamLink, read_stream_token, stream_token
from courier.formats.replicate import prediction
from jobs.job import Job
from jobs.links import links_end_s

_PREFER = re.compile(r"(?:^|[,;\s])wait(?:=(\d{1,3}))?(?:$|[,;\s])")
_WAIT_S = 60
_SPARE_S = 5
"""Clients read half a second longer than they ask to wait, and submitting takes a moment too."""
_EVENTS = {"start": "started", "output": "output", "logs": "progress", "completed": "completed"}
_USUAL_EVENTS = ["output", "completed"]
_LISTED = 100
_NONE: Mapping[str, Any] = MappingProxyType({})
_MAX_INLINE_BYTES = 8 * 1024 * 1024
"""Of the pictures in an answer over plain HTTP."""


def create(call: DialectCall) -> Answer:
    """POST /predictions."""
    name = call.json().get("version")
    if not isinstance(name, str) or not name:
        raise InvalidRequestError([FieldError("version", "is required: a model, OWNER/NAME, or the id of a version")])
    return _created(call, of_version(call, name))


def create_by_name(call: DialectCall) -> Answer:
    """POST /models/{owner}/{name}/predictions, and the same of deployments."""
    return _created(call, named(call, f"{call.path['owner']}/{call.path['name']}"))


def get(call: DialectCall) -> Answer:
    """GET /predictions/{id}."""
    return _answer(call, 200, call.job(call.path["job"]))


def cancel(call: DialectCall) -> Answer:
    """POST /predictions/{id}/cancel; one that has ended stays as it is."""
    job = call.job(call.path["job"])
    try:
        job = call.cancel(job)
    except JobStateError:
        job = call.job(job.id)
    return _answer(call, 200, job)


def predictions(call: DialectCall) -> Answer:
    """GET /predictions: all jobs of the caller's, the newest first."""
    cursor = call.request.query.get("cursor")
    if cursor is not None and not re.fullmatch(JOB_ID_PATTERN, cursor):
        raise InvalidRequestError([FieldError("cursor", "must be that of `next` of the page before")])
    found, last = call.services.history.page(call.tenant, wanted=JobFilter(), limit=_LISTED, start=cursor)
    following = None if last is None else f"{call.base_url}/v1/predictions?cursor={last}"
    results = [prediction(job, call.links) for job in found]
    return Response.json(200, {"previous": None, "next": following, "results": results})


def stream(call: DialectCall) -> Answer:
    """GET the ``stream`` URL of a prediction, which carries its right in itself."""
    link = read_stream_token(call.services.signing_secret, call.path["token"])
    job = None if link is None else call.services.jobs.get(link.job)
    if link is None or job is None or link.expires_s <= call.links.now_s:
        raise RequestError(403, "forbidden", "This is no link that the API has made, or it has expired.")
    return Stream(job=job, source=PredictionEvents(lambda latest: _output(call, latest)))


def secret(call: DialectCall) -> Answer:
    """GET /webhooks/default/secret."""
    if (operations := call.services.webhooks) is None:
        raise RequestError(404, "not_found", "Webhooks are switched off here.")
    return Response.json(200, {"key": operations.secret(call.tenant).secret}, {"Cache-Control": "no-store"})


def error(rejection: RequestError) -> Response:
    """A rejection as problem details (RFC 9457)."""
    status, detail, more = rejection.status, rejection.message, {}
    title = rejection.code.replace("_", " ").capitalize()
    if isinstance(rejection, InvalidRequestError):
        status, title = 422, "Input validation failed"
        detail = "\n".join(f"- {one.pointer}: {one.detail}" for one in rejection.errors)
        more = {"invalid_fields": [{"field": one.pointer, "description": one.detail} for one in rejection.errors]}
    body = {"title": title, "detail": detail, "status": status, **more}
    return Response.json(status, body, rejection.headers, media_type="application/problem+json")


REPLICATE = Dialect(
    name="replicate",
    calls=tuple(
        (method, f"{start}{path}", handler)
        for start in ("v1", "")
        for method, path, handler in (
            ("POST", "/predictions", create),
            ("GET", "/predictions", predictions),
            ("GET", "/predictions/{job}", get),
            ("POST", "/predictions/{job}/cancel", cancel),
            ("POST", "/models/{owner}/{name}/predictions", create_by_name),
            ("POST", "/deployments/{owner}/{name}/predictions", create_by_name),
            ("GET", "/models", models),
            ("GET", "/models/{owner}/{name}", model),
            ("GET", "/models/{owner}/{name}/versions", versions),
            ("GET", "/models/{owner}/{name}/versions/{version}", version),
            ("POST", "/files", create_file),
            ("GET", "/files/{file}", file),
            ("DELETE", "/files/{file}", delete_file),
            ("GET", "/webhooks/default/secret", secret),
        )
    ),
    public=(("GET", "v1/stream/{token}", stream),),
    error=error,
)


def _created(call: DialectCall, asked: Model) -> Answer:
    body = call.json()
    inputs = body.get("input", {})
    if not isinstance(inputs, dict):
        raise InvalidRequestError([FieldError("input", "must be an object")])
    inputs = sent_files(call, inputs)
    wanted = call.picture(asked, picture(inputs), inputs, PARAMETERS)
    wanted = replace(wanted, context={"model": with_owner(asked.name)})
    if url := body.get("webhook"):
        wanted = call.with_webhook(wanted, str(url), _events(body.get("webhook_events_filter")))
    job = call.submit(wanted, **call.repeat())
    asks = _PREFER.search(call.request.headers.get("prefer", ""))
    seconds = min(int(asks[1] or _WAIT_S), _WAIT_S) if asks else 0
    applied = {"Preference-Applied": f"wait={seconds}"} if asks else {}

    def render(latest: Job) -> Response:
        # Another word of a prediction that goes on would end the wait of clients.
        changes = {} if latest.state.is_final else {"status": "starting"}
        return _answer(call, 201, latest, changes, applied)

    return Wait(
        job=job,
        is_over=lambda latest: latest.state.is_final,
        seconds=seconds - min(_SPARE_S, seconds / 2),
        render=render,
    )


def _events(names: Any) -> list[Any]:
    names = names or _USUAL_EVENTS
    if not isinstance(names, list) or not all(name in _EVENTS for name in names):
        raise InvalidRequestError([FieldError("webhook_events_filter", f"must be a list of {', '.join(_EVENTS)}")])
    return [_EVENTS[name] for name in names]


def _answer(
    call: DialectCall, status: int, job: Job, changes: Mapping[str, Any] = _NONE, headers: Mapping[str, str] = _NONE
) -> Response:
    shown = {**prediction(job, call.links, output=_output(call, job)), **changes}
    link = StreamLink(job=job.id, expires_s=links_end_s(call.links.now_s))
    shown["urls"]["stream"] = f"{call.base_url}/v1/stream/{stream_token(call.services.signing_secret, link)}"
    return Response.json(status, shown, {"Cache-Control": "no-store", **headers})


def _output(call: DialectCall, job: Job) -> list[str]:
    """Links to the results; over plain HTTP the results themselves, since its clients read no other links than https.

    Those that are too large for an answer, or do not exist any more, are links even so.
    """
    links = call.links.of(job)
    sizes = [link.known.size_bytes if link.known else math.inf for link in links]
    if not call.base_url.startswith("https:") and sum(sizes) <= _MAX_INLINE_BYTES:
        with suppress(RequestError):
            return [_data_url(call, StoredFile.of_key(link.key, link.content_type)) for link in links]
    return [link.url for link in links]


def _data_url(call: DialectCall, file: StoredFile) -> str:
    return b"".join(call.base64(file, data_url=True).pieces()).decode()
