"""The HTTP application: routes, error responses, and the OpenAPI description at /docs."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import ClientDisconnect

from contract.field_errors import FieldError, field_path
from runtimes.flux.requests import Edit, Generation, Inpainting, Variation
from runtimes.flux.server.api.bodies import JobSubmission
from runtimes.flux.server.api.routes import router
from runtimes.flux.server.engine.engine import Engine
from runtimes.flux.server.errors import BodyTooLargeError, InvalidGenerationError, JobIdConflictError, UnavailableError

_RETRY_AFTER_S = "5"
_BODIES: dict[str, tuple[type[BaseModel], ...]] = {
    "/generate": (Generation, Variation, Inpainting),
    "/generate_view": (Generation, Variation, Inpainting),
    "/edit": (Edit,),
    "/invocations": (Generation, Variation, Inpainting, Edit),
    "/jobs": (JobSubmission,),
}
"""FastAPI does not know these, because the routes read the bodies themselves."""
_JOB_ID = {"type": "string", "format": "uuid", "description": "The job's id, chosen by the caller. Default: random."}
_REF = "#/components/schemas/{model}"

ErrorHandler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


def build_app(engine: Engine) -> FastAPI:
    """Build the application."""
    app = FastAPI(
        title="Pictures by diffusion models",
        description='Draws and edits pictures. Errors are `{"detail": …}`; with 422 it lists all of them.',
        redoc_url=None,
        exception_handlers=_HANDLERS,
    )
    app.include_router(router(engine))
    description = _description(app)
    app.openapi = lambda: description  # type: ignore[method-assign]  # fastapi.tiangolo.com/how-to/extending-openapi
    return app


def _description(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    models = sorted({model for choices in _BODIES.values() for model in choices}, key=str)
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    for model in models:
        definitions["$defs"][model.__name__]["properties"].setdefault("job_id", _JOB_ID)
    schema["components"]["schemas"] |= definitions["$defs"]
    for path, choices in _BODIES.items():
        body = {"anyOf": [{"$ref": _REF.format(model=model.__name__)} for model in choices]}
        content = {"application/json": {"schema": body}}
        schema["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
    return schema


async def _answer_invalid(_: Request, exc: Exception) -> JSONResponse:
    errors: list[FieldError] = []
    if isinstance(exc, InvalidGenerationError):
        errors = exc.field_errors
    elif isinstance(exc, RequestValidationError):  # a location starts with the part of the request: path, query
        errors = [
            FieldError(field_path(error["loc"][1:]), error["msg"].replace("Input should", "should", 1))
            for error in exc.errors()
        ]
    return JSONResponse({"detail": [{"field": error.pointer, "problem": error.detail} for error in errors]}, 422)


def _answering(status: int, detail: str | None = None, **headers: str) -> ErrorHandler:
    """Respond with a status and a sentence, by default the error's own message."""

    async def answer(_: Request, exc: Exception) -> JSONResponse:
        return JSONResponse({"detail": detail or str(exc)}, status, headers=headers)

    return answer


_HANDLERS: dict[int | type[Exception], ErrorHandler] = {
    InvalidGenerationError: _answer_invalid,
    RequestValidationError: _answer_invalid,
    JobIdConflictError: _answering(409),
    UnavailableError: _answering(503, **{"Retry-After": _RETRY_AFTER_S}),
    BodyTooLargeError: _answering(413, Connection="close"),
    ClientDisconnect: _answering(400, "the request is incomplete"),
    Exception: _answering(500, "the server failed; its log says why"),
}
