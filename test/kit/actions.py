"""What can be done to a call; each function returns an action for a rule. AWS's calls and errors are named here."""

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
"""How each service says that it was asked too often."""

CLAIM, RENEW, FINISH, NOTIFIED = "*#lease_owner = *", "SET #lease_until*", "*#ended_at = *", "SET #notified_at*"
"""Updates of a job in the jobs table, as patterns for a call's path."""

_JSON_TYPES = {"sqs": "com.amazonaws.sqs#", "dynamodb": "com.amazonaws.dynamodb.v20120810#"}


def _action(work: Callable[..., Awaitable[web.StreamResponse]]) -> Callable[..., Action]:
    """Make what works on an exchange a function of its other arguments that returns an action."""

    @functools.wraps(work)
    def make(*args: Any, **kwargs: Any) -> Action:
        return lambda exchange: work(exchange, *args, **kwargs)

    return make


@_action
async def answer(_: Exchange, status: int, body: bytes = b"", content_type: str = "text/plain") -> web.StreamResponse:
    """Answer in the service's place; the service is not called."""
    return web.Response(status=status, body=body, content_type=content_type)


@_action
async def reset(exchange: Exchange, *, after_forwarding: bool = False) -> web.StreamResponse:
    """Break the connection; with ``after_forwarding`` the call is done, and only its answer is lost."""
    if after_forwarding:
        await exchange.forward()
    return exchange.reset()


@_action
async def delay(exchange: Exchange, seconds: float) -> web.StreamResponse:
    """Let the call take longer: first the wait, then the service."""
    await asyncio.sleep(seconds)
    return await exchange.forward()


@_action
async def hang(exchange: Exchange) -> web.StreamResponse:
    """Take the request and say nothing, until the client gives up."""
    await asyncio.sleep(3600)
    return exchange.reset()


@_action
async def half_body(exchange: Exchange) -> web.StreamResponse:
    """Forward the call, announce the whole answer, send half of it and hang up."""
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
    """Forward the call and answer 200 with something else."""
    await exchange.forward()
    return web.Response(body=body, content_type=content_type)


@_action
async def ended_badly(exchange: Exchange, node_type: str, kind: str, message: str) -> web.StreamResponse:
    """Answer to ComfyUI's history of a job that one of its nodes has failed."""
    prompt_id = exchange.call.path.rpartition("/")[2]
    node = {"prompt_id": prompt_id, "node_id": "6", "node_type": node_type, "executed": [], "traceback": []}
    error = {**node, "exception_type": kind, "exception_message": message}
    status = {"status_str": "error", "completed": False, "messages": [["execution_error", error]]}
    return web.json_response({prompt_id: {"prompt": [], "outputs": {}, "status": status, "meta": {}}})


@_action
async def cut(exchange: Exchange, event: Callable[[], object], *, after_forwarding: bool = False) -> web.StreamResponse:
    """Let something of the test's own happen, as a kill, and break the connection; what was asked is done or not."""
    if after_forwarding:
        await exchange.forward()
    await asyncio.to_thread(event)
    return exchange.reset()


@_action
async def aws_error(exchange: Exchange, status: int, code: str) -> web.StreamResponse:
    """Answer with an error as the call's service writes it; the service is not called."""
    return _error(exchange.call, status, code)


@_action
async def throttled(exchange: Exchange) -> web.StreamResponse:
    """Answer as the call's service does when it is asked too often."""
    return _error(exchange.call, *THROTTLED[exchange.call.name.partition(":")[0]])


def _error(call: Call, status: int, code: str) -> web.Response:
    message, request_id = f"The proxy was told to answer {code}.", str(uuid.uuid4())
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
    """Tell an AWS request's service and operation; an update of a DynamoDB item has its expression for a path."""
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
