"""API Gateway's proxy event (REST API, payload format 1.0) as a request, and an answer as Lambda returns it."""

import base64
from collections.abc import Mapping
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.http import Caller, Download, Request, Response
from contract.binary_media import is_binary
from contract.field_errors import FieldError

_MAX_BYTES = 4_500_000
"""Of a file: base64 makes it a third larger, and Lambda answers with up to 6 MB."""
_MAX_TEXT_BYTES = 3_000_000
"""Of a file of text, in which each letter may need two in JSON."""


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


def buffered(download: Download, request: Request) -> Response:
    """A file as one answer; a redirect if it is too large, or if API Gateway would send base64 instead of its bytes.

    Raises:
        RequestError: It is too large (413), and leads nowhere else.
    """
    if download.headers["Content-Type"].startswith(("application/json", "text/")):
        max_bytes = _MAX_TEXT_BYTES
    else:
        max_bytes = _MAX_BYTES if is_binary(request.headers.get("accept", "")) else -1
    if download.size_bytes <= max_bytes:
        return Response(status=200, headers=download.headers, body=b"".join(download.pieces()))
    if download.redirect is None:
        raise RequestError(413, "too_large", "The answer is too large for this function, which does not stream.")
    return download.redirect


def _body(event: Mapping[str, Any]) -> bytes:
    body = str(event.get("body") or "")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidRequestError([FieldError("", "is not base64 although it says so")]) from None
