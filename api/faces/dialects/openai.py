"""OpenAI's Images API: https://platform.openai.com/docs/api-reference/images."""

import base64
import re
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects.dialect import Dialect, DialectCall
from api.http import Answer, Response, Wait
from api.operations.generation import digest_of
from contract.field_errors import FieldError
from jobs.job import Job, JobState

_HELD_S = 600
"""As long as its clients wait; the shell lets go earlier, and the answer then leads to one that waits on."""
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_AUTO = (None, "", "auto")


def generate(call: DialectCall) -> Answer:
    """POST /images/generations."""
    body = call.json()
    wanted = call.picture(call.model(str(body.get("model") or "")), _picture(body))
    repeats = call.request.headers.get("x-stainless-retry-count", "0")
    digest = digest_of(call.request.path.encode(), call.request.body)
    return _held(call, call.submit(wanted, digest=digest, is_repeat=repeats != "0"), body.get("response_format"))


def wait(call: DialectCall) -> Answer:
    """Our own GET to which a POST leads whose picture takes longer than the gateway waits."""
    return _held(call, call.job(call.path["job"]), call.request.query.get("response_format"))


def models(call: DialectCall) -> Answer:
    """GET /models."""
    names = call.services.models.names(call.dialect, call.caller.tenant or "")
    return Response.json(200, {"object": "list", "data": [_model(name) for name in names]})


def model(call: DialectCall) -> Answer:
    """GET /models/{id}."""
    return Response.json(200, _model(call.model(call.path["model"]).name))


def error(rejection: RequestError) -> Response:
    """A rejection as OpenAI writes it."""
    kind = "invalid_request_error" if rejection.status < 500 else "server_error"  # noqa: PLR2004
    shown = {"message": rejection.message, "type": kind, "param": None, "code": rejection.code}
    if rejection.errors:
        shown["message"] = "; ".join(f"{one.pointer} {one.detail}".strip() for one in rejection.errors)
        shown["param"] = rejection.errors[0].pointer or None
    return Response.json(rejection.status, {"error": shown}, rejection.headers)


OPENAI = Dialect(
    name="openai",
    calls=tuple(
        (method, f"{version}{path}", handler)
        for version in ("v1", "")
        for method, path, handler in (
            ("POST", "/images/generations", generate),
            ("GET", "/images/jobs/{job}", wait),
            ("GET", "/models", models),
            ("GET", "/models/{model...}", model),
        )
    ),
    error=error,
)


def _picture(body: dict[str, Any]) -> dict[str, Any]:
    picture = {name: body.get(name) for name in ("prompt", "n", "negative_prompt", "seed", "steps", "guidance")}
    if (size := body.get("size")) not in _AUTO:
        found = _SIZE.fullmatch(str(size))
        if not found:
            raise InvalidRequestError([FieldError("size", "must be auto or WIDTHxHEIGHT, as 1024x1024")])
        picture |= {"width": int(found[1]), "height": int(found[2])}
    return picture | {"format": body.get("output_format")}


def _held(call: DialectCall, job: Job, response_format: Any) -> Wait:
    def render(latest: Job) -> Response:
        if not latest.state.is_final:
            here = f"{call.base_url}/v1/images/jobs/{latest.id}"
            query = f"?response_format={response_format}" if response_format == "url" else ""
            return Response(status=303, headers={"Location": here + query, "Cache-Control": "no-store"})
        if latest.state is not JobState.SUCCEEDED:
            code, message = latest.state.value, f"The job {latest.id} is {latest.state}."
            if latest.error is not None:
                code, message = latest.error.code, latest.error.message
            # 408, 409, 429 and 5xx would make the client pay for the job again.
            raise RequestError(400, code, message, headers={"x-should-retry": "false"})
        data = []
        for file in call.files(latest):
            if response_format == "url":
                data.append({"url": call.url_of(file)})
            else:
                data.append({"b64_json": base64.b64encode(call.bytes_of(file)).decode()})
        return Response.json(200, {"created": int(latest.created_s), "data": data, "job": latest.id})

    return Wait(job=job, is_over=lambda latest: latest.state.is_final, seconds=_HELD_S, render=render)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sd-on-eks"}
