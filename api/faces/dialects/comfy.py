"""Comfy API v2, the hosted API of ComfyUI's makers: https://docs.comfy.org/development/cloud/api-reference."""

import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects import comfy_assets as assets
from api.faces.dialects.comfy_events import ComfyEvents
from api.faces.dialects.comfy_views import job_view, labels_of, moment, status_of
from api.faces.dialects.dialect import Dialect, DialectCall
from api.http import Answer, Response, Stream
from api.operations.history import JobFilter, JobStateError
from contract.field_errors import FieldError
from contract.ids import JOB_ID_PATTERN
from runtimes.catalog import DeployedRuntime
from runtimes.comfyui.graph import split

_LIMIT, _MAX_LIMIT = 20, 100
_MAX_PAGES = 10
"""Of jobs that one request looks through for labels."""
_MAX_RETRY_S = 60
_LABEL = re.compile(r"metadata\[(.+)\]")
_NODE = re.compile(r"(?:prompt\.)?(?P<node>[^.]+)(?:\.inputs)?(?:\.(?P<field>.+))?")
_CODES = {409: (422, "idempotency_key_reuse"), 429: (429, "queue_full"), 404: (404, "not_found")}

_FIELDS = {
    "?cursor": (400, "invalid_cursor"),
    "?limit": (400, "invalid_limit"),
    "metadata": (422, "invalid_metadata"),
    "context": (422, "invalid_metadata"),
    assets.REFERENCE: (422, "missing_asset"),
}
"""Status and code of what is wrong outside of the workflow."""


def submit(call: DialectCall) -> Answer:
    """POST /jobs."""
    body = call.json()
    labels, extra_data = body.get("metadata") or {}, body.get("extra_data")
    if not isinstance(labels, dict) or not all(isinstance(one, str) for one in labels.values()):
        raise InvalidRequestError([FieldError("metadata", "must be an object of texts")])
    graph = assets.with_links(call, body.get("workflow"))
    content = graph if extra_data is None else {"prompt": graph, "extra_data": extra_data}
    wanted = call.services.generations.content(_runtime(call), content)
    job = call.submit(replace(wanted, context=labels, keeps_previews=True))
    return Response.json(201, job_view(call, job))


def job(call: DialectCall) -> Answer:
    """GET /jobs/{id}."""
    return Response.json(200, job_view(call, call.job(call.path["job"])))


def jobs(call: DialectCall) -> Answer:
    """GET /jobs: newest first; with labels, those that have all of them. A page may have none even if more follow."""
    query = call.request.query
    labels = {match[1]: value for name, value in query.items() if (match := _LABEL.fullmatch(name))}
    limit, start = query.get("limit", str(_LIMIT)), query.get("cursor")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", limit):
        raise InvalidRequestError([FieldError("?limit", f"must be a number from 1 to {_MAX_LIMIT}")])
    if start is not None and not re.fullmatch(JOB_ID_PATTERN, start):
        raise InvalidRequestError([FieldError("?cursor", "must be next_cursor of the page before")])
    size = _MAX_LIMIT if labels else min(int(limit), _MAX_LIMIT)
    wanted, rows = JobFilter(runtime=_runtime(call).name), []
    for _ in range(_MAX_PAGES):
        page, start = call.services.history.page(call.tenant, wanted=wanted, limit=size, start=start)
        for one in page:
            given = labels_of(one)
            if labels.items() <= given.items():
                created = moment(one.created_s)
                rows.append({"id": one.id, "status": status_of(one), "create_time": created, "metadata": given})
        if rows or start is None:
            break
    return Response.json(200, {"jobs": rows, **({} if start is None else {"next_cursor": start})})


def workflow(call: DialectCall) -> Answer:
    """GET /jobs/{id}/workflow."""
    graph, _ = split(call.services.history.content(call.job(call.path["job"])))
    return Response.json(200, {"workflow": graph, "format": "api"})


def cancel(call: DialectCall) -> Answer:
    """POST /jobs/{id}/cancel; a job that has ended stays as it is."""
    found = call.job(call.path["job"])
    try:
        found = call.cancel(found)
    except JobStateError:
        found = call.job(found.id)
    return Response.json(200, job_view(call, found))


def events(call: DialectCall) -> Answer:
    """GET /jobs/{id}/events."""
    return Stream(job=call.job(call.path["job"]), source=ComfyEvents(call))


def error(rejection: RequestError) -> Response:
    """A rejection as the API writes it; errors of a workflow are named by node."""
    status, code = _CODES.get(rejection.status, (rejection.status, rejection.code))
    shown: dict[str, Any] = {"message": rejection.message, "details": None}
    if isinstance(rejection, InvalidRequestError):
        status, code = _FIELDS.get(rejection.errors[0].pointer, (422, "invalid_workflow"))
        shown["message"] = "; ".join(f"{one.pointer} {one.detail}".strip() for one in rejection.errors)
        shown["details"] = {"node_errors": _by_node(rejection.errors)}
    headers = dict(rejection.headers)
    if int(headers.get("Retry-After", 0)) > _MAX_RETRY_S:  # the client would wait for a minute, in vain
        del headers["Retry-After"]
        code = rejection.code
    return Response.json(status, {"error": {"code": code, **shown}}, headers)


COMFY = Dialect(
    name="comfy",
    calls=tuple(
        (method, f"{place}api/v2/{path}", handler)
        for place in ("", "{runtime}/")
        for method, path, handler in (
            ("POST", "jobs", submit),
            ("GET", "jobs", jobs),
            ("GET", "jobs/{job}", job),
            ("GET", "jobs/{job}/workflow", workflow),
            ("POST", "jobs/{job}/cancel", cancel),
            ("GET", "jobs/{job}/events", events),
            ("POST", "assets", assets.upload),
            ("HEAD", "assets/by-hash/{hash}", assets.find_by_hash),
            ("POST", "assets/from-hash", assets.from_hash),
            ("GET", "assets/{asset}", assets.asset),
            ("DELETE", "assets/{asset}", assets.delete),
            ("GET", "assets/{asset}/content", assets.content),
        )
    ),
    error=error,
)


def _runtime(call: DialectCall) -> DeployedRuntime:
    """The runtime that the base URL names, or else the first that runs workflows."""
    return call.services.models.for_workflows(call.dialect, call.path.get("runtime", ""))


def _by_node(errors: list[FieldError]) -> dict[str, list[dict[str, str]]]:
    found: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for one in errors:
        if match := _NODE.fullmatch(one.pointer):
            found[match["node"]].append({"field": match["field"] or "", "reason": one.detail})
    return found
