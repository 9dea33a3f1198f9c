"""A small server that does what API Gateway's REST API does in front of the Lambda: keys, throttle, stage, limits."""

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from configuration import gateway as errors
from configuration.gateway import INTEGRATION_TIMEOUT_S, MAX_PAYLOAD_BYTES, GatewayError
from contract import strict_json
from local.proxy_event import LambdaContext, MalformedAnswerError, make_event, read_answer

MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""API Gateway rejects a larger request."""
_CONCURRENCY = 32
_MAX_REASON_CHARS = 400
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)')

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], Any], Any]


class Gateway:
    """API Gateway in front of a Lambda's handler: every path starts with ``stage``, and one key is accepted.

    ``rate_limit`` is in requests a second; ``burst_limit`` is how many may come at once.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        stage: str,
        api_key: str,
        rate_limit: float,
        burst_limit: int,
        timeout_s: float = INTEGRATION_TIMEOUT_S,
    ) -> None:
        self._handler = handler
        self._stage = stage
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._bucket = TokenBucket(rate=rate_limit, burst=burst_limit)
        self._threads = ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="handler")

    def application(self) -> web.Application:
        """The server, for every path."""
        logging.getLogger("aiohttp.server").addFilter(_without_its_bytes)
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.Response:
        started = time.monotonic()
        try:
            response = await self._answer(request)
        except Exception:
            # API Gateway's own answer to a failing integration.
            logger.exception("the handler failed")
            response = _refusal(errors.BROKEN)
        took_ms = (time.monotonic() - started) * 1000
        level, reason = logging.INFO, ""
        if response.status >= HTTPStatus.BAD_REQUEST:
            level, reason = logging.WARNING, _reason(response.body)
        where = f"{request.method} {request.rel_url.raw_path}"
        logger.log(level, "%s %d %.0f ms%s", where, response.status, took_ms, reason)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        stage, slash, rest = request.path.removeprefix("/").partition("/")
        key = request.headers.get("x-api-key", "")
        if denial := self._denial(stage, key):
            return _refusal(denial)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _refusal(errors.TOO_LARGE)
        except (web.RequestPayloadError, HttpProcessingError, OSError):
            # The library's message may contain what was sent.
            message = "The body did not arrive whole, or is not encoded as its headers say."
            return _refusal(GatewayError(status=HTTPStatus.BAD_REQUEST, code="invalid_request", message=message))
        event = make_event(request, body, stage=stage, path=slash + rest, api_key=key)
        if _size_bytes(event) > MAX_PAYLOAD_BYTES:
            return _refusal(errors.TOO_LARGE)
        return await self._invoke(event)

    def _denial(self, stage: str, key: str) -> GatewayError | None:
        if stage != self._stage:
            message = f"No such stage; paths begin with /{self._stage}/."
            return GatewayError(status=HTTPStatus.FORBIDDEN, code="forbidden", message=message)
        if not hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self._api_key.encode()):
            return errors.UNAUTHORIZED
        return None if self._bucket.take() else errors.THROTTLED

    async def _invoke(self, event: dict[str, Any]) -> web.Response:
        request_id = event["requestContext"]["requestId"]
        context = LambdaContext(aws_request_id=request_id, deadline=time.monotonic() + self._timeout_s)
        invocation = asyncio.get_running_loop().run_in_executor(self._threads, self._handler, event, context)
        try:
            answer = await asyncio.wait_for(invocation, self._timeout_s)
            if _size_bytes(answer) <= MAX_PAYLOAD_BYTES:
                return read_answer(answer)
            logger.error("the handler's answer is larger than %d MB", MAX_PAYLOAD_BYTES // 1024**2)
        except TimeoutError:
            return _refusal(errors.TIMEOUT)
        except MalformedAnswerError as exc:
            logger.error("%s", exc)  # noqa: TRY400 - its place in the code says nothing
        return _refusal(errors.BROKEN)


class TokenBucket:
    """API Gateway's throttle for a key: ``burst`` requests at once and ``rate`` a second in the long run."""

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self) -> bool:
        """Take a token; False if none is left."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _size_bytes(payload: Any) -> int:
    """Size of a Lambda's event or answer as JSON."""
    return len(json.dumps(payload, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))


def _without_its_bytes(record: logging.LogRecord) -> bool:
    """Log an invalid HTTP request without its content, which may contain a key or a prompt."""
    record.exc_info = None
    return True


def _reason(body: object) -> str:
    """The errors of an answer for a log line: fields and problems, or the message.

    Quoted values are left out, because a prompt or a link may be in the wrong field.
    """
    try:
        error = json.loads(body if isinstance(body, bytes) else b"")["error"]
        problems = [_VALUE.sub("…", f"{one['field']} {one['problem']}").strip() for one in error["details"]]
        return f": {'; '.join(problems) or error['message']}"[:_MAX_REASON_CHARS]
    except (ValueError, KeyError, TypeError):
        return ""


def _refusal(error: GatewayError) -> web.Response:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    status = error.status or HTTPStatus.BAD_GATEWAY
    return web.json_response(error.body, status=status, headers=headers, dumps=strict_json.utf8)
