"""SD WebUI's errors, in its own shapes."""

from typing import Any


class WebuiError(Exception):
    """An answer with a status other than 200."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


def rejected(status: int, detail: str) -> WebuiError:
    """The server rejects the request with its own reason (its HTTPException)."""
    return WebuiError(status, {"error": "HTTPException", "detail": detail, "body": "", "errors": ""})


def broken(kind: str, words: str) -> WebuiError:
    """Something broke inside; the answer has the exception's class and message."""
    return WebuiError(500, {"error": kind, "detail": "", "body": "", "errors": words})


def invalid(*errors: tuple[Any, ...]) -> WebuiError:
    """The body does not fit the schema; each error has its location, message, type and, for some, context."""
    names = ("loc", "msg", "type", "ctx")
    return WebuiError(422, {"detail": [dict(zip(names, error, strict=False)) for error in errors]})
