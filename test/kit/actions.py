"""Actions on a call, made for rules by functions; and the names of AWS's calls and errors."""

import asyncio
import functools
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from test.kit.proxy import Action, Call, Exchange

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9-]+)/aws4_request")

THROTTLED: Mapping[str, tuple[int, str]] = {
    "s3": (503, "SlowDown"),
    "sns": (400, "Throttling"),
    "sqs": (400, "RequestThrottled"),
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
}
"""Each service's error for too many requests."""

CLAIM, RENEW = "*#lease_owner = *", "*#start_by = :start_by, #attempts = *"
FINISH, NOTIFIED = "*#ended_at = *", "SET #notified_at*"
"""Updates of a job in the jobs table, as patterns of a call's path."""

_JSON_TYPES = {"sqs": "com.amazonaws.sqs#", "dynamodb": "com.amazonaws.dynamodb.v20120810#"}


def _action(work: Callable[..., Awaitable[web.StreamResponse]]) -> Callable[..., Action]:
    """Turn a function of an exchange and other arguments into a function of those arguments that returns an action."""

    @functools.wraps(work)
    def make(*args: Any, **kwargs: Any) -> Action:
        return lambda exchange: work(exchange, *args, **kwargs)

    return make


@_action
async def answer(_: Exchange, status: int, body: bytes = b"", content_type: str = "text/plain") -> web.StreamResponse:
    """Answer without calling the service."""
    return web.Response(status=status, body=body, content_type=content_type)


@_action
async def reset(exchange: Exchange, *, after_forwarding: bool = False) -> web.StreamResponse:
    """Reset the connection; with ``after_forwarding``, the service has done the call, and only its answer is lost."""
    if after_forwarding:
        await exchange.forward()
    return exchange.reset()


@_action
async def delay(exchange: Exchange, seconds: float) -> web.StreamResponse:
    """Wait before forwarding the call."""
    await asyncio.sleep(seconds)
    return await exchange.forward()


@_action
async def hang(exchange: Exchange) -> web.StreamResponse:
    """Accept the request but never answer."""
    await asyncio.sleep(3600)
    return exchange.reset()


@_action
async def half_body(exchange: Exchange) -> web.StreamResponse:
    """Forward the call, announce the full length of the answer, send half of it and reset the connection."""
    whole = await exchange.forward()
    body = whole.body if isinstance(whole.body, bytes) else b"{}"
    half = web.StreamResponse(status=whole.status, headers={"Content-Length": str(max(len(body), 2))})
    half.content_type = whole.content_type
    await half.prepare(exchange.request)
    await half.write(body[: len(body) // 2] or b"x")
    exchange.reset()
    return half


@_action
async def instead(exchange: Exchange, body: bytes, content_type: str = "application/json") -> web.StreamResponse:
    """Forward the call, but answer 200 with another body."""
    await exchange.forward()
    return web.Response(body=body, content_type=content_type)


@_action
async def ended_badly(exchange: Exchange, node_type: str, kind: str, message: str) -> web.StreamResponse:
    """Answer a request for a job's history on ComfyUI: one of its nodes has failed."""
    prompt_id = exchange.call.path.rpartition("/")[2]
    node = {"prompt_id": prompt_id, "node_id": "6", "node_type": node_type, "executed": [], "traceback": []}
    error = {**node, "exception_type": kind, "exception_message": message}
    status = {"status_str": "error", "completed": False, "messages": [["execution_error", error]]}
    return web.json_response({prompt_id: {"prompt": [], "outputs": {}, "status": status, "meta": {}}})


@_action
async def cut(exchange: Exchange, event: Callable[[], object], *, after_forwarding: bool = False) -> web.StreamResponse:
    """Run an event of the test, such as a kill, and reset the connection; forward the call before, or not at all."""
    if after_forwarding:
        await exchange.forward()
    await asyncio.to_thread(event)
    return exchange.reset()


@_action
async def aws_error(exchange: Exchange, status: int, code: str) -> web.StreamResponse:
    """Answer with an error in the service's format, without calling the service."""
    return _error(exchange.call, status, code)


@_action
async def throttled(exchange: Exchange) -> web.StreamResponse:
    """Answer with the service's error for too many requests."""
    return _error(exchange.call, *THROTTLED[exchange.call.name.partition(":")[0]])


def _error(call: Call, status: int, code: str) -> web.Response:
    message, request_id = f"A rule of the proxy answers {code}.", str(uuid.uuid4())
    if call.protocol == "json":
        body = json.dumps({"__type": _JSON_TYPES.get(call.name.partition(":")[0], "") + code, "message": message})
        headers = {"x-amzn-RequestId": request_id}
        return web.Response(status=status, text=body, headers=headers, content_type="application/x-amz-json-1.0")
    error = f"<Code>{code}</Code><Message>{message}</Message>"
    if call.protocol == "s3":
        text = f"<Error>{error}<RequestId>{request_id}</RequestId><HostId>h</HostId></Error>"
    else:
        kind = "Sender" if status < 500 else "Receiver"
        text = f"<ErrorResponse><Error><Type>{kind}</Type>{error}</Error><RequestId>{request_id}</RequestId>"
        text += "</ErrorResponse>"
    return web.Response(status=status, text=text, content_type="text/xml")


def name_call(request: web.BaseRequest, _: bytes) -> Call:
    """Name a request to a model server by method and path."""
    return Call(name=f"{request.method} {request.path}", path=request.path)


def name_aws_call(request: web.BaseRequest, body: bytes) -> Call:
    """Name an AWS request by service and operation; the path of a DynamoDB update is its expression."""
    scope = _SCOPE.search(request.headers.get("Authorization", ""))
    service, path = scope[1] if scope else "unsigned", request.path
    if target := request.headers.get("X-Amz-Target"):
        operation, protocol = target.rpartition(".")[2], "json"
        if service == "dynamodb":
            path = json.loads(body).get("UpdateExpression", path)
    elif service == "s3":
        operation, protocol = f"{request.method.capitalize()}Object", "s3"
    else:
        form = parse_qs(body.decode(errors="replace"))
        operation, protocol = form.get("Action", [request.query.get("Action", "?")])[0], "query"
    return Call(name=f"{service}:{operation}", path=path, protocol=protocol)
