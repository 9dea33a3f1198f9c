"""The HTTP application: routes, the shape of its errors, and its description."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from contract.field_errors import FieldError, field_path
from runtimes.flux.server.api.description import describe
from runtimes.flux.server.api.routes import router
from runtimes.flux.server.engine.engine import Engine
from runtimes.flux.server.errors import BodyTooLargeError, InvalidGenerationError, JobIdConflictError, UnavailableError

_RETRY_AFTER_S = "5"

ErrorHandler = Callable[[Request, Exception], Awaitable[JSONResponse]]


def build_app(engine: Engine) -> FastAPI:
    """Make the application."""
    app = FastAPI(
        title="Pictures by diffusion models",
        description='Draws and edits pictures. Errors are `{"detail": …}`; with 422 it lists all of them.',
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(router(engine))
    describe(app)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app


async def _answer_invalid(_: Request, exc: Exception) -> JSONResponse:
    errors: list[FieldError] = []
    if isinstance(exc, InvalidGenerationError):
        errors = exc.field_errors
    elif isinstance(exc, RequestValidationError):  # the first step of the path is where the value stood: path, query
        errors = [
            FieldError(field_path(error["loc"][1:]), error["msg"].replace("Input should", "should", 1))
            for error in exc.errors()
        ]
    return JSONResponse({"detail": [{"field": error.pointer, "problem": error.detail} for error in errors]}, 422)


def _answering(status: int, detail: str | None = None, **headers: str) -> ErrorHandler:
    """Answer with a status and a sentence, by default the error's own."""

    async def answer(_: Request, exc: Exception) -> JSONResponse:
        return JSONResponse({"detail": detail or str(exc)}, status, headers=headers)

    return answer


_HANDLERS: dict[type[Exception], ErrorHandler] = {
    InvalidGenerationError: _answer_invalid,
    RequestValidationError: _answer_invalid,
    JobIdConflictError: _answering(409),
    UnavailableError: _answering(503, **{"Retry-After": _RETRY_AFTER_S}),
    BodyTooLargeError: _answering(413, Connection="close"),
    ClientDisconnect: _answering(400, "the request is incomplete"),  # its caller hung up
    Exception: _answering(500, "the server failed; its log says why"),
}
