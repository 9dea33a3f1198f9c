"""API Gateway's proxy event, read as an HTTP request (REST API, payload format 1.0)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from api.errors import InvalidRequestError, RequestError
from contract import strict_json
from contract.faults import Fault


def path_segments(event: Mapping[str, Any]) -> list[str]:
    """The parts of the path after the stage; doubled and trailing slashes make none."""
    return [segment for segment in str(event.get("path") or "").split("/") if segment]


def header(event: Mapping[str, Any], name: str) -> str:
    """A header's value, "" where it is missing. Names are compared without case."""
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name:
            return str(value or "")
    return ""


def tenant(event: Mapping[str, Any]) -> str | None:
    """Id of the API key that the request came with; never the key itself."""
    identity = (event.get("requestContext") or {}).get("identity") or {}
    return identity.get("apiKeyId") or None


def json_body(event: Mapping[str, Any]) -> Any:
    """Read the body of a JSON POST.

    Raises:
        RequestError: Another method (405), another content type (415), or no JSON (400).
    """
    method = str(event.get("httpMethod") or "").upper()
    if method != "POST":
        raise RequestError(405, "method_not_allowed", f"{method} is not allowed; use POST.", headers={"Allow": "POST"})
    media_type, *parameters = [part.strip().lower() for part in header(event, "content-type").split(";")]
    charsets = {
        value.strip('"') for name, _, value in (part.partition("=") for part in parameters) if name == "charset"
    }
    if media_type != "application/json" or not charsets <= {"utf-8", "utf8"}:
        raise RequestError(415, "unsupported_media_type", "Send Content-Type: application/json, in UTF-8.")
    body: str | bytes = event.get("body") or ""
    if not body:
        raise InvalidRequestError([Fault("", "has no body")])
    try:
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body, validate=True)
        return strict_json.loads(body)
    except binascii.Error:
        raise InvalidRequestError([Fault("", "is not base64 although it says so")]) from None
    except ValueError as exc:
        raise InvalidRequestError([Fault("", str(exc))]) from None
