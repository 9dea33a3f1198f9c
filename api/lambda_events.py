"""API Gateway's proxy event (REST API, payload format 1.0) as a request, and an answer as Lambda returns it."""

import base64
from collections.abc import Mapping
from typing import Any

from api.errors import InvalidRequestError
from api.http import Caller, Request, Response
from contract.field_errors import FieldError


def request_of(event: Mapping[str, Any], keys: str = "") -> Request:
    """Read an event; ``keys`` is what ``Caller.of`` reads.

    Raises:
        InvalidRequestError: Its body is not base64 although it says so.
    """
    context = event.get("requestContext") or {}
    path = str(event.get("path") or "")
    headers = {str(name).lower(): str(value or "") for name, value in (event.get("headers") or {}).items()}
    scheme = headers.get("x-forwarded-proto", "https")
    base = str(context.get("path") or path).removesuffix(path).rstrip("/")
    tenant = (context.get("identity") or {}).get("apiKeyId") or None
    return Request(
        method=str(event.get("httpMethod") or "").upper(),
        path="/".join(filter(None, path.split("/"))),
        query={name: str(value or "") for name, value in (event.get("queryStringParameters") or {}).items()},
        headers=headers,
        body=_body(event),
        caller=Caller.of(tenant, keys),
        base_url=f"{scheme}://{headers.get('host', context.get('domainName', ''))}{base}",
    )


def proxy_answer(response: Response) -> dict[str, Any]:
    """Write an answer; a body that is not text becomes base64."""
    try:
        body, is_base64 = response.body.decode(), False
    except UnicodeDecodeError:
        body, is_base64 = base64.b64encode(response.body).decode(), True
    return {
        "statusCode": response.status,
        "headers": dict(response.headers),
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _body(event: Mapping[str, Any]) -> bytes:
    body = str(event.get("body") or "")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidRequestError([FieldError("", "is not base64 although it says so")]) from None
