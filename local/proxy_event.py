"""API Gateway's Lambda proxy integration (REST API): HTTP request to event, the handler's answer to HTTP response."""

import base64
import binascii
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from local.sandbox import ACCOUNT

API_KEY_ID = "local0key0"
"""Id of the one API key; what the door knows of a tenant."""


class MalformedAnswerError(Exception):
    """The handler returned something that API Gateway does not take for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaContext:
    """The second argument of a handler."""

    aws_request_id: str
    deadline: float
    """When the invocation is given up, on the monotonic clock."""
    function_name: str = "front-door"
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "512"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is given up."""
        return max(0, round((self.deadline - time.monotonic()) * 1000))


def make_event(request: web.Request, body: bytes, *, stage: str, path: str, api_key: str) -> dict[str, Any]:
    """Write a request as a proxy event.

    Args:
        request: The request.
        body: Its body; undecodable bytes are replaced, as for any type that is not declared binary.
        stage: The stage it came by.
        path: The path after the stage.
        api_key: The key it came with.
    """
    headers = [*request.headers.items(), *_forwarding_headers(request)]
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": _grouped(headers),
        "queryStringParameters": dict(request.query.items()) or None,
        "multiValueQueryStringParameters": _grouped(request.query.items()) or None,
        "pathParameters": {"proxy": path.strip("/")},
        "stageVariables": None,
        "requestContext": _request_context(request, stage=stage, path=path, api_key=api_key),
        "body": body.decode("utf-8", "replace") or None,
        "isBase64Encoded": False,
    }


def _forwarding_headers(request: web.Request) -> list[tuple[str, str]]:
    trace = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
    return [
        ("X-Amzn-Trace-Id", request.headers.get("X-Amzn-Trace-Id", trace)),
        ("X-Forwarded-For", request.remote or ""),
        ("X-Forwarded-Port", str(request.url.port)),
        ("X-Forwarded-Proto", request.scheme),
    ]


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _request_context(request: web.Request, *, stage: str, path: str, api_key: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "accountId": ACCOUNT,
        "apiId": "local",
        "domainName": request.host,
        "extendedRequestId": uuid.uuid4().hex[:15] + "=",
        "httpMethod": request.method,
        "identity": {
            "apiKey": api_key,
            "apiKeyId": API_KEY_ID,
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
    }


def read_answer(answer: object) -> web.Response:
    """Turn what the handler returned into a response.

    Raises:
        MalformedAnswerError: It is not of the documented form.
    """
    if not isinstance(answer, dict):
        raise MalformedAnswerError(f"the handler returned {type(answer).__name__}, not a dict")
    try:
        status = int(answer["statusCode"])
        body = answer.get("body") or ""
        content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in (answer.get("headers") or {}).items():
            headers[name] = str(value)
        for name, values in (answer.get("multiValueHeaders") or {}).items():
            headers.popall(name, None)
            headers.extend((name, str(value)) for value in values)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as exc:
        raise MalformedAnswerError(f"the handler's answer cannot be read: {exc!r}") from exc
    headers.setdefault("Content-Type", "application/json")
    return web.Response(status=status, body=content, headers=headers)
