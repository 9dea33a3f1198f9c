"""The ways in which SD WebUI says no, in its own shapes."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from runtimes.standin.faults import InjectedError, NoMemoryError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebuiHTTPError(Exception):
    """The server refuses with a status and a reason of its own (its HTTPException)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BrokenError(Exception):
    """Something broke inside; the answer is 500 with the exception's class and words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


class InvalidError(Exception):
    """The body does not fit the schema; the answer is 422 with every fault (pydantic 1's wording)."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def fault(location: list[str | int], message: str, kind: str, **context: object) -> dict[str, Any]:
    """Return one entry of a 422 answer."""
    entry: dict[str, Any] = {"loc": location, "msg": message, "type": kind}
    return {**entry, "ctx": context} if context else entry


def answer(payload: object, status: int = 200) -> web.Response:
    """Return the payload as JSON, packed as FastAPI packs it."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json", charset=None)


def _trouble(kind: str, status: int, detail: str, words: str) -> web.Response:
    return answer({"error": kind, "detail": detail, "body": "", "errors": words}, status)


def _kind_of(error: BrokenError | InjectedError) -> str:
    if isinstance(error, BrokenError):
        return error.kind
    return "OutOfMemoryError" if isinstance(error, NoMemoryError) else "RuntimeError"


@web.middleware
async def speak_as_webui(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into the answer that SD WebUI gives for it."""
    try:
        return await handler(request)
    except WebuiHTTPError as error:
        return _trouble("HTTPException", error.status, error.detail, "")
    except (BrokenError, InjectedError) as error:
        return _trouble(_kind_of(error), 500, "", str(error))
    except InvalidError as error:
        return answer({"detail": error.faults}, 422)
    except web.HTTPException as error:
        if error.status >= web.HTTPBadRequest.status_code:
            return answer({"detail": error.reason}, error.status)
        raise
