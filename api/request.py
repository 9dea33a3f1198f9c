"""Reads API Gateway's proxy event as an HTTP request (REST API, payload format 1.0)."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.operations import IdempotencyKey
from contract import strict_json
from contract.field_errors import FieldError

IDEMPOTENCY_HEADER = "Idempotency-Key"

_KEY = re.compile(r"[ -~]{1,255}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def path_segments(event: Mapping[str, Any]) -> list[str]:
    """The parts of the path after the stage, without empty ones from doubled and trailing slashes."""
    return [segment for segment in str(event.get("path") or "").split("/") if segment]


def header(event: Mapping[str, Any], name: str) -> str | None:
    """A header's value; None if it is missing. Upper and lower case do not matter."""
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name.lower():
            return str(value or "")
    return None


def tenant(event: Mapping[str, Any]) -> str | None:
    """Id of the request's API key, not the key itself."""
    identity = (event.get("requestContext") or {}).get("identity") or {}
    return identity.get("apiKeyId") or None


def traceparent(event: Mapping[str, Any]) -> str | None:
    """The request's W3C trace context; None without a valid one."""
    value = header(event, "traceparent")
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None


def key_errors(event: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with a request's Idempotency-Key."""
    value = header(event, IDEMPOTENCY_HEADER)
    if value is None or _KEY.fullmatch(value):
        return []
    return [FieldError(IDEMPOTENCY_HEADER, "must be 1 to 255 printable ASCII characters")]


def idempotency_key(event: Mapping[str, Any], path: str, body: bytes) -> IdempotencyKey | None:
    """A request's Idempotency-Key with the hash of its path and body; None if it has no key."""
    value = header(event, IDEMPOTENCY_HEADER)
    if value is None:
        return None
    return IdempotencyKey(value, hashlib.sha256(f"{path}\n".encode() + body).hexdigest())


def body_bytes(event: Mapping[str, Any]) -> bytes:
    """The body of a JSON POST, as it was sent.

    Raises:
        RequestError: Another method (405), another content type (415), or no body (400).
    """
    method = str(event.get("httpMethod") or "").upper()
    if method != "POST":
        raise RequestError(405, "method_not_allowed", f"{method} is not allowed; use POST.", headers={"Allow": "POST"})
    media_type, *parameters = [part.strip().lower() for part in (header(event, "content-type") or "").split(";")]
    charsets = {
        value.strip('"') for name, _, value in (part.partition("=") for part in parameters) if name == "charset"
    }
    if media_type != "application/json" or not charsets <= {"utf-8", "utf8"}:
        raise RequestError(415, "unsupported_media_type", "Send Content-Type: application/json, in UTF-8.")
    body = str(event.get("body") or "")
    if not body:
        raise InvalidRequestError([FieldError("", "has no body")])
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidRequestError([FieldError("", "is not base64 although it says so")]) from None


def parse_json(body: bytes) -> Any:
    """Read a body.

    Raises:
        InvalidRequestError: It is no JSON.
    """
    try:
        return strict_json.loads(body)
    except ValueError as exc:
        raise InvalidRequestError([FieldError("", str(exc))]) from None
