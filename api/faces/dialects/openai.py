"""OpenAI's Images API: https://platform.openai.com/docs/api-reference/images."""

from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import urlencode

from api.errors import RequestError
from api.faces.dialects.dialect import Dialect, DialectCall, JsonWithFiles
from api.faces.dialects.openai_answers import ImageEvents, described, error, pictures_of
from api.faces.dialects.openai_request import ImageRequest
from api.http import Answer, Download, Response, Stream, Wait
from api.request import check_size
from jobs.job import Job

_HELD_S = 240
"""Clients wait ten minutes for an answer, and follow twenty redirects."""
_MAX_IGNORED = 20


def generate(call: DialectCall) -> Answer:
    """POST /images/generations."""
    return _made(call, ImageRequest.read(call, edits=False), "image_generation")


def edit(call: DialectCall) -> Answer:
    """POST /images/edits."""
    return _made(call, ImageRequest.read(call, edits=True), "image_edit")


def vary(call: DialectCall) -> NoReturn:
    """POST /images/variations."""
    raise RequestError(404, "not_found", f"Variations are retired; POST {call.base_url}/v1/images/edits with a prompt.")


def wait(call: DialectCall) -> Answer:
    """GET /images/jobs/{job}, our own: leads on from a POST whose pictures take longer than an answer may."""
    query = call.request.query
    ignored = [name for name in query.get("ignored", "").split(",") if name]
    return _held(call, call.job(call.path["job"]), as_links=query.get("response_format") == "url", ignored=ignored)


def models(call: DialectCall) -> Answer:
    """GET /models."""
    return Response.json(200, {"object": "list", "data": [_model(name) for name in _names(call)]})


def model(call: DialectCall) -> Answer:
    """GET /models/{model}."""
    return Response.json(200, _model(call.model(call.path["model"]).name))


OPENAI = Dialect(
    name="openai",
    calls=tuple(
        (method, f"{version}{path}", handler)
        for version in ("v1", "")
        for method, path, handler in (
            ("POST", "/images/generations", generate),
            ("POST", "/images/edits", edit),
            ("POST", "/images/variations", vary),
            ("GET", "/images/jobs/{job}", wait),
            ("GET", "/models", models),
            ("GET", "/models/{model...}", model),
        )
    ),
    error=error,
)


def _made(call: DialectCall, asked: ImageRequest, kind: str) -> Answer:
    """Submit a job, and wait for it in the way that its caller asks for."""
    name = asked.model or next(iter(_names(call)), "")
    wanted = call.picture(call.model(name), asked.picture)
    check_size(wanted.content)
    context = {"user": asked.user} if asked.user else None
    wanted = replace(wanted, keeps_previews=asked.is_stream and asked.partial_images > 0, context=context)
    job = call.submit(wanted, **call.repeat())
    if asked.is_stream:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "x-request-id": job.id}
        return Stream(job=job, source=ImageEvents(call, kind, asked.partial_images), headers=headers)
    ignored = [*asked.ignored, *(warning.pointer for warning in wanted.warnings)]
    return _held(call, job, as_links=asked.as_links, ignored=ignored[:_MAX_IGNORED])


def _held(call: DialectCall, job: Job, *, as_links: bool, ignored: list[str]) -> Wait:
    def render(latest: Job) -> Response | Download:
        headers = {"Cache-Control": "no-store", "x-request-id": latest.id}
        if not latest.state.is_final:
            asked = {"response_format": "url" if as_links else "b64_json", "ignored": ",".join(ignored)}
            here = f"{call.base_url}/v1/images/jobs/{latest.id}?{urlencode(asked)}"
            return Response(status=303, headers={"Location": here, **headers})
        pictures = pictures_of(call, latest, as_links=as_links)
        warnings = [f"{name} is ignored" for name in ignored]
        made = {"created": int(latest.created_s), "data": pictures, **described(latest), "job": latest.id}
        return JsonWithFiles({**made, "warnings": warnings}).answer(headers)

    return Wait(job=job, is_over=lambda latest: latest.state.is_final, seconds=_HELD_S, render=render)


def _names(call: DialectCall) -> list[str]:
    return call.services.models.names(call.dialect, call.tenant)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sd-on-eks"}
