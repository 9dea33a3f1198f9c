"""The HTTP application: routes, and the shape of its errors."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from contract.field_errors import FieldError, field_path
from runtimes.flux.server.api import router
from runtimes.flux.server.bodies import fault_rows
from runtimes.flux.server.intake import TooLargeError
from runtimes.flux.server.metrics import Metrics
from runtimes.flux.server.openapi import describe
from runtimes.flux.server.orders import RequestFaults
from runtimes.flux.server.service import Service, UnavailableError

_RETRY_AFTER_S = "5"

Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]


def build_app(service: Service, metrics: Metrics) -> FastAPI:
    """Make the application."""
    app = FastAPI(
        title="Pictures by diffusion models",
        description='Draws and edits pictures. Errors are `{"detail": …}`; with 422 it lists every fault.',
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(router(service, metrics))
    describe(app)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app


async def _tell_faults(_: Request, exc: Exception) -> JSONResponse:
    faults = exc.faults if isinstance(exc, RequestFaults) else []
    return JSONResponse({"detail": fault_rows(faults)}, 422)


async def _tell_validation(_: Request, exc: Exception) -> JSONResponse:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else []
    # The first step of the path says where the value came from: path, query, body.
    faults = [
        FieldError(field_path(error["loc"][1:]), error["msg"].replace("Input should", "should", 1)) for error in errors
    ]
    return JSONResponse({"detail": fault_rows(faults)}, 422)


async def _tell_unavailable(_: Request, exc: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(exc)}, 503, headers={"Retry-After": _RETRY_AFTER_S})


async def _tell_too_large(_: Request, exc: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(exc)}, 413, headers={"Connection": "close"})


async def _tell_nobody(_: Request, __: Exception) -> JSONResponse:
    """The caller hung up before the whole request was here."""
    return JSONResponse({"detail": "the request is incomplete"}, 400)


async def _tell_failure(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "the server failed; its log says why"}, 500)


_HANDLERS: dict[type[Exception], Handler] = {
    RequestFaults: _tell_faults,
    RequestValidationError: _tell_validation,
    UnavailableError: _tell_unavailable,
    TooLargeError: _tell_too_large,
    ClientDisconnect: _tell_nobody,
    Exception: _tell_failure,
}
