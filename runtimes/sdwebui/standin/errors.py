"""SD WebUI's errors, in its own shapes."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from runtimes.standin.faults import InjectedError, NoMemoryError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebuiError(Exception):
    """The server does not do what it is asked; it answers with a status and a body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


class WebuiHTTPError(WebuiError):
    """The server refuses with a status and a reason of its own (its HTTPException)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, {"error": "HTTPException", "detail": detail, "body": "", "errors": ""})


class BrokenError(WebuiError):
    """Something broke inside; the answer is 500 with the exception's class and words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(500, {"error": kind, "detail": "", "body": "", "errors": words})


class InvalidError(WebuiError):
    """The body does not fit the schema; the answer is 422 with all its errors (pydantic 1's wording)."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(422, {"detail": errors})


def field_error(location: list[str | int], message: str, kind: str, **context: object) -> dict[str, Any]:
    """Return one entry of a 422 answer."""
    entry: dict[str, Any] = {"loc": location, "msg": message, "type": kind}
    return {**entry, "ctx": context} if context else entry


def answer(payload: object, status: int = 200) -> web.Response:
    """Return the payload as JSON, packed as FastAPI packs it."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json", charset=None)


@web.middleware
async def speak_as_webui(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into the answer that SD WebUI gives for it."""
    try:
        return await handler(request)
    except InjectedError as error:
        kind = "OutOfMemoryError" if isinstance(error, NoMemoryError) else "RuntimeError"
        broken = BrokenError(kind, str(error))
        return answer(broken.body, broken.status)
    except WebuiError as error:
        return answer(error.body, error.status)
    except web.HTTPException as error:
        if error.status >= web.HTTPBadRequest.status_code:
            return answer({"detail": error.reason}, error.status)
        raise
