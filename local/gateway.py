"""A small server that does what API Gateway's REST API does in front of the Lambda: keys, throttle, stage, limits."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from api.access_log import log_request
from api.authorizer import sent_key
from api.limits import TokenBucket
from api.stream_handler import StreamedAnswer
from configuration import gateway as errors
from configuration.gateway import (
    CONSOLE_PATHS,
    INTEGRATION_TIMEOUT_S,
    MAX_PAYLOAD_BYTES,
    PUBLIC_PATHS,
    STREAMED_PATHS,
    GatewayError,
    path_pattern,
)
from contract import strict_json
from local.proxy_event import LambdaContext, MalformedAnswerError, make_event, read_answer

MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""API Gateway rejects a larger request."""
_CONCURRENCY = 32
_HELD = 256
"""Streamed requests at work at once: clients of other APIs hold each for as long as their picture takes."""

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], Any], Any]
Streamer = Callable[[Mapping[str, Any]], StreamedAnswer]

_STREAMED = path_pattern(*STREAMED_PATHS)
_KEYLESS = path_pattern(*PUBLIC_PATHS, *CONSOLE_PATHS)


class Gateway:
    """API Gateway in front of Lambda's handlers: every path starts with ``stage``, and needs one of some keys.

    ``streamer`` answers requests for events. ``keys`` has the id of each key. ``rate_limit`` is in requests a second
    for each key; ``burst_limit`` is how many may come at once.
    """

    def __init__(
        self,
        handler: Handler,
        streamer: Streamer,
        *,
        stage: str,
        keys: Mapping[str, str],
        rate_limit: float,
        burst_limit: int,
        timeout_s: float = INTEGRATION_TIMEOUT_S,
    ) -> None:
        self._handler = handler
        self._streamer = streamer
        self._stage = stage
        self._keys = keys
        self._timeout_s = timeout_s
        self._buckets = {key: TokenBucket(rate=rate_limit, burst=burst_limit) for key in keys}
        self._threads = ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="handler")
        self._streams = ThreadPoolExecutor(_HELD, thread_name_prefix="stream")

    def application(self) -> web.Application:
        """The server, for every path."""
        logging.getLogger("aiohttp.server").addFilter(_without_its_bytes)
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_get("/", self._root)  # which people type, and API Gateway does not answer
        app.router.add_route("*", "/{path:(?s:.*)}", self._serve)
        return app

    async def _root(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=HTTPStatus.FOUND, headers={"Location": f"/{self._stage}/console"})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        try:
            response = await self._answer(request)
        except Exception:
            # API Gateway's own answer to a failing integration.
            logger.exception("the handler failed")
            response = _refusal(errors.BROKEN)
        took_s = time.monotonic() - started
        body = getattr(response, "body", None)
        log_request(request.method, request.rel_url.raw_path, response.status, took_s, body)
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        stage, slash, rest = request.path.removeprefix("/").partition("/")
        is_keyless = request.method == "OPTIONS" or _KEYLESS.fullmatch(slash + rest)
        key = "" if is_keyless else sent_key({name.lower(): value for name, value in request.headers.items()})
        if denial := self._denial(stage, None if is_keyless else key):
            return _refusal(denial)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _refusal(errors.TOO_LARGE)
        except (web.RequestPayloadError, HttpProcessingError, OSError):
            # The library's message may contain what was sent.
            message = "The body did not arrive whole, or is not encoded as its headers say."
            return _refusal(GatewayError(status=HTTPStatus.BAD_REQUEST, code="invalid_request", message=message))
        key_id = self._keys.get(key, "")
        event = make_event(request, body, stage=stage, path=slash + rest, api_key=key, api_key_id=key_id)
        if _size_bytes(event) > MAX_PAYLOAD_BYTES:
            return _refusal(errors.TOO_LARGE)
        if _STREAMED.fullmatch(slash + rest):
            return await self._stream(request, event)
        return await self._invoke(event, request.headers.get("Accept", ""))

    async def _stream(self, request: web.Request, event: dict[str, Any]) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._streams, self._streamer, event)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        pieces = iter(answer.pieces)
        while piece := await loop.run_in_executor(self._streams, next, pieces, None):
            await response.write(piece)
        await response.write_eof()
        return response

    def _denial(self, stage: str, key: str | None) -> GatewayError | None:
        """Why a request is not let in; ``key`` is None where it needs none."""
        if stage != self._stage:
            message = f"No such stage; paths begin with /{self._stage}/."
            return GatewayError(status=HTTPStatus.FORBIDDEN, code="forbidden", message=message)
        if key is None:
            return None
        if key not in self._keys:
            return errors.UNAUTHORIZED
        return None if self._buckets[key].take() else errors.THROTTLED

    async def _invoke(self, event: dict[str, Any], accept: str) -> web.Response:
        request_id = event["requestContext"]["requestId"]
        context = LambdaContext(aws_request_id=request_id, deadline=time.monotonic() + self._timeout_s)
        invocation = asyncio.get_running_loop().run_in_executor(self._threads, self._handler, event, context)
        try:
            answer = await asyncio.wait_for(invocation, self._timeout_s)
            if _size_bytes(answer) <= MAX_PAYLOAD_BYTES:
                return read_answer(answer, accept=accept)
            logger.error("the handler's answer is larger than %d MB", MAX_PAYLOAD_BYTES // 1024**2)
        except TimeoutError:
            return _refusal(errors.TIMEOUT)
        except MalformedAnswerError as exc:
            logger.error("%s", exc)  # noqa: TRY400 - its place in the code says nothing
        return _refusal(errors.BROKEN)


def _size_bytes(payload: Any) -> int:
    """Size of a Lambda's event or answer as JSON."""
    return len(json.dumps(payload, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))


def _without_its_bytes(record: logging.LogRecord) -> bool:
    """Log an invalid HTTP request without its content, which may contain a key or a prompt."""
    record.exc_info = None
    return True


def _refusal(error: GatewayError) -> web.Response:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    status = error.status or HTTPStatus.BAD_GATEWAY
    return web.json_response(error.body, status=status, headers=headers, dumps=strict_json.utf8)
