"""Pictures: one GET draws a picture, or joins the job that already draws it; a link does it without a key."""

import hashlib
import re
import time
from dataclasses import replace
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.v1.job_requests import read_request, submission_of
from api.faces.v1.jobs import view
from api.faces.v1.models.pictures import (
    MAX_LINK_CHARS,
    PictureLinkQuery,
    PictureLinkRequest,
    PictureLinkView,
    PictureParameters,
    PictureQuery,
    PictureView,
)
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Caller, Response, Wait
from api.operations.submission import IdempotencyKey
from contract.field_errors import FieldError
from contract.signatures import PictureLink, picture_token, read_picture_token
from contract.times import time_of
from jobs.job import Job, JobState
from runtimes.pictures import PictureRequest

ROUTES = Routes()
_PERIOD_S = 2
"""After which to ask again."""
_TURN_S, _MAX_TURNS = 10, 15
"""How long a link waits for its picture, and how often it leads to itself then; browsers follow about twenty redirects.
Each turn holds a function, and anybody may open a link."""
_NOT_STORED = {"Cache-Control": "no-store"}
_CALLERS_FAULT = frozenset(
    ("invalid_task", "input_failed", "rejected", "execution_failed", "no_output", "content_filtered")
)
"""Codes of failed jobs that another try would not help (docs/api.md, "Error codes")."""
_FIELD = re.compile(r"content\.(\w+)(?=$|[.\[])")


@ROUTES.add(
    "GET",
    "/pictures",
    query=PictureQuery,
    answers={200: PictureView, 202: PictureView, 303: None},
    problems=(409, 422, 502),
)
def get_picture(call: ApiCall) -> Answer:
    """Draw a picture, and wait for it.

    200 with the picture's `url` if it is ready in time. Otherwise 202 with the job: send the same request again, or
    follow `Location`. The same parameters within an hour join the same job, so that a repeated request draws nothing
    twice. `?redirect=true` answers 303 with the picture's address. If the job failed, the answer is 422 or 502 and says
    why.
    """
    query: PictureQuery = call.query
    try:
        job = _drawn(call, query)
    except InvalidRequestError as exc:
        errors = [FieldError(f"?{one.pointer}" if one.pointer else "", one.detail) for one in exc.errors]
        raise InvalidRequestError(errors) from None

    def render(latest: Job) -> Response:
        if not latest.state.is_final:
            shown = _view(call, query.prompt, latest)
            return Response.json(202, shown, {"Location": shown["links"]["self"], **_again()})
        if query.redirect:
            return _redirect(call, latest)
        return Response.json(200, _view(call, query.prompt, _succeeded(latest)), _NOT_STORED)

    return Wait(job=job, is_over=lambda latest: latest.state.is_final, seconds=query.wait, render=render)


@ROUTES.add("POST", "/pictures/links", body=PictureLinkRequest, answers={200: PictureLinkView})
def make_picture_link(call: ApiCall) -> Answer:
    """Make a link to a picture, for example for an `<img>` tag.

    The link needs no key. The picture is drawn, as a job of yours, when somebody opens the link for the first time.
    From then on the link leads to this picture until it expires.
    """
    asked = call.read_body(PictureLinkRequest)
    pictures = call.services.pictures
    runtime, picture = pictures.runtime(asked.runtime), _request(asked)
    pictures.task(picture, runtime)  # errors now, and not in a page of its caller's
    link = PictureLink(
        tenant=call.tenant,
        runtime=runtime.name,
        picture=picture.model_dump(mode="json", exclude_none=True),
        expires_s=int(time.time()) + asked.expires_in,
    )
    url = _link_url(call, picture_token(call.services.signing_secret, link))
    if (size := len(f"{url}&n={_MAX_TURNS}")) > MAX_LINK_CHARS:
        words = f"makes a link of {size} characters; browsers and servers take {MAX_LINK_CHARS}: write less of all"
        raise InvalidRequestError([FieldError("prompt", words)])
    return Response.json(200, PictureLinkView(url=url, expires_at=time_of(link.expires_s)), _NOT_STORED)


@ROUTES.add(
    "GET",
    "/pictures/link",
    query=PictureLinkQuery,
    answers={303: None},
    is_public=True,
    problems=(403, 410, 422, 502, 504),
)
def follow_picture_link(call: ApiCall) -> Answer:
    """Follow a link to a picture.

    The answer is 303 with the picture's address. While the picture is drawn, it is 303 with the link itself, so that a
    browser goes on waiting.
    """
    query: PictureLinkQuery = call.query
    link = read_picture_token(call.services.signing_secret, query.token)
    if link is None:
        raise RequestError(403, "forbidden", "This is no link that the API has made.")
    if link.expires_s <= time.time():
        raise RequestError(410, "expired", "The link has expired.")
    caller = Caller.of(link.tenant, call.services.settings.api_keys)
    call = replace(call, request=replace(call.request, caller=caller))
    digest = hashlib.sha256(query.token.encode()).hexdigest()
    key = IdempotencyKey(f"link/{digest}", digest)
    job = call.services.pictures.drawn(link.tenant, key)
    if job is None:
        job = _submit(call, PictureRequest(**link.picture), link.runtime, key)

    def render(latest: Job) -> Response:
        if latest.state.is_final:
            return _redirect(call, latest)
        if query.n >= _MAX_TURNS:
            raise RequestError(504, "timeout", "The picture is not ready yet; open the link again.", headers=_again())
        here = f"{_link_url(call, query.token)}&n={query.n + 1}"
        return Response(status=303, headers={"Location": here, **_NOT_STORED})

    seconds = _TURN_S if query.n < _MAX_TURNS else 0
    return Wait(job=job, is_over=lambda latest: latest.state.is_final, seconds=seconds, render=render)


def _drawn(call: ApiCall, asked: PictureParameters) -> Job:
    """The job that draws a picture: one of less than an hour ago, or a new one."""
    pictures = call.services.pictures
    runtime, picture = pictures.runtime(asked.runtime), _request(asked)
    if (job := pictures.drawn_lately(call.tenant, picture, runtime.name)) is not None:
        return job
    return _submit(call, picture, runtime.name, pictures.key(picture, runtime.name))


def _submit(call: ApiCall, picture: PictureRequest, runtime: str, key: IdempotencyKey) -> Job:
    pictures = call.services.pictures
    task = pictures.task(picture, pictures.runtime(runtime))
    body = {"runtime": task.runtime, "type": task.task_type, "content": task.content}
    try:
        asked = read_request(call, body)
    except InvalidRequestError as exc:
        raise InvalidRequestError([_as_parameter(error) for error in exc.errors]) from None
    return call.services.submissions.submit(submission_of(call, asked, key=key))


def _link_url(call: ApiCall, token: str) -> str:
    return f"{call.request.base_url}/v1/pictures/link?token={token}"


def _request(asked: PictureParameters) -> PictureRequest:
    return PictureRequest(**asked.model_dump(include=set(PictureRequest.model_fields)))


def _as_parameter(error: FieldError) -> FieldError:
    """An error of a content that the caller has not seen, at the parameter of the same name if there is one."""
    found = _FIELD.match(error.pointer)
    if found and found.group(1) in PictureParameters.model_fields:
        return FieldError(found.group(1), error.detail)
    return FieldError("", f"leads to a task whose {error.pointer} {error.detail}")


def _view(call: ApiCall, prompt: str, job: Job) -> dict[str, Any]:
    shown = view(call, job)
    image: dict[str, Any] = next(iter(shown["images"]), {})
    described = {name: image.get(name) for name in ("url", "content_type", "width", "height", "seed", "expires_at")}
    common = {name: shown[name] for name in ("job", "runtime", "state", "links")}
    return PictureView(prompt=prompt, **common, **described).model_dump(mode="json")


def _redirect(call: ApiCall, job: Job) -> Response:
    outputs = call.services.outputs
    location = outputs.link(outputs.files(_succeeded(job))[0], call.request.base_url)
    return Response(status=303, headers={"Location": location, **_NOT_STORED})


def _succeeded(job: Job) -> Job:
    """The job, which has ended.

    Raises:
        RequestError: Without a picture: by its caller's fault (422), or the platform's (502).
    """
    if job.state is JobState.SUCCEEDED and job.results:
        return job
    if job.state is JobState.CANCELLED or job.error is None:
        raise RequestError(409, "no_picture", f"The job {job.id} is {job.state} and has no picture.")
    status = 422 if job.error.code in _CALLERS_FAULT else 502
    raise RequestError(status, job.error.code, job.error.message)


def _again() -> dict[str, str]:
    return {"Retry-After": str(_PERIOD_S), **_NOT_STORED}
