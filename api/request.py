"""What the faces read from a request: its JSON body, its idempotency key, its trace."""

import hashlib
import re
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.http import JSON, Request
from api.operations.submission import IdempotencyKey
from contract import strict_json
from contract.field_errors import FieldError

IDEMPOTENCY_HEADER = "Idempotency-Key"

_KEY = re.compile(r"[ -~]{1,255}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(request: Request) -> str | None:
    """The request's W3C trace context; None without a valid one."""
    value = request.headers.get("traceparent", "")
    return value if _TRACEPARENT.fullmatch(value) else None


def key_errors(request: Request) -> list[FieldError]:
    """What is wrong with a request's Idempotency-Key."""
    value = request.headers.get(IDEMPOTENCY_HEADER.lower())
    if value is None or _KEY.fullmatch(value):
        return []
    return [FieldError(IDEMPOTENCY_HEADER, "must be 1 to 255 printable ASCII characters")]


def idempotency_key(request: Request) -> IdempotencyKey | None:
    """A request's Idempotency-Key with the hash of its path and body; None if it has no key."""
    value = request.headers.get(IDEMPOTENCY_HEADER.lower())
    if value is None:
        return None
    return IdempotencyKey(value, hashlib.sha256(f"{request.path}\n".encode() + request.body).hexdigest())


def read_json(request: Request) -> Any:
    """Read a body of JSON.

    Raises:
        RequestError: Another content type (415).
        InvalidRequestError: There is no body, or it is no JSON.
    """
    media_type, *parameters = [part.strip().lower() for part in request.headers.get("content-type", "").split(";")]
    charsets = {
        value.strip('"') for name, _, value in (part.partition("=") for part in parameters) if name == "charset"
    }
    if media_type != JSON or not charsets <= {"utf-8", "utf8"}:
        raise RequestError(415, "unsupported_media_type", "Send Content-Type: application/json, in UTF-8.")
    if not request.body:
        raise InvalidRequestError([FieldError("", "has no body")])
    try:
        return strict_json.loads(request.body)
    except ValueError as exc:
        raise InvalidRequestError([FieldError("", str(exc))]) from None
