"""API Gateway's Lambda proxy integration (REST API): turns a request into an event, and an answer into a response."""

import base64
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from contract.binary_media import is_binary
from local.sandbox import ACCOUNT


class MalformedAnswerError(Exception):
    """The handler returned something that API Gateway does not accept as an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaContext:
    """The second argument of a handler."""

    aws_request_id: str
    deadline: float
    """When the invocation times out, on the monotonic clock."""
    function_name: str = "front-door"
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "512"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation times out."""
        return max(0, round((self.deadline - time.monotonic()) * 1000))


def make_event(
    request: web.Request, body: bytes, *, stage: str, path: str, api_key: str, api_key_id: str
) -> dict[str, Any]:
    """Write a request as a proxy event; ``path`` is the path after the stage.

    A body of a binary type travels as base64; in all others, invalid UTF-8 is replaced.
    """
    is_base64 = bool(body) and is_binary(request.headers.get("Content-Type", ""))
    text = base64.b64encode(body).decode() if is_base64 else body.decode("utf-8", "replace")
    now = datetime.now(UTC)
    headers = CIMultiDict(request.headers)
    headers.setdefault("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}")
    headers.add("X-Forwarded-For", request.remote or "")
    headers.add("X-Forwarded-Port", str(request.url.port))
    headers.setdefault("X-Forwarded-Proto", request.scheme)  # a proxy before this one may have ended TLS
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method,
        "headers": dict(headers.items()),
        "multiValueHeaders": {name: headers.getall(name) for name in headers},
        "queryStringParameters": dict(request.query.items()) or None,
        "multiValueQueryStringParameters": {name: request.query.getall(name) for name in request.query} or None,
        "pathParameters": {"proxy": path.strip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": request.host,
            "extendedRequestId": uuid.uuid4().hex[:15] + "=",
            "httpMethod": request.method,
            "identity": {
                "apiKey": api_key,
                "apiKeyId": api_key_id,
                "sourceIp": request.remote,
                "userAgent": request.headers.get("User-Agent"),
            },
            "path": f"/{stage}{path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "resourceId": "local",
            "resourcePath": "/{proxy+}",
            "stage": stage,
        },
        "body": text or None,
        "isBase64Encoded": is_base64,
    }


def read_answer(answer: Any, *, accept: str = "") -> web.Response:
    """Turn what the handler returned into a response to a request with an Accept header.

    Base64 becomes bytes only for one who accepts a binary type before all others.

    Raises:
        MalformedAnswerError: It does not have the documented form.
    """
    try:
        status = int(answer["statusCode"])
        body = answer.get("body") or ""
        is_bytes = answer.get("isBase64Encoded") and is_binary(accept)
        content = base64.b64decode(body, validate=True) if is_bytes else body.encode()
        headers: CIMultiDict[str] = CIMultiDict({"Content-Type": "application/json"})
        headers.update((name, str(value)) for name, value in (answer.get("headers") or {}).items())
        for name, values in (answer.get("multiValueHeaders") or {}).items():
            headers.popall(name, None)
            headers.extend((name, str(value)) for value in values)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise MalformedAnswerError(f"the handler's answer cannot be read: {exc!r}") from exc
    return web.Response(status=status, body=content, headers=headers)
