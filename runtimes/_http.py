"""HTTP to the model server beside the agent."""

import asyncio
import json
import logging
import math
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Any

import aiohttp
import orjson
from yarl import URL

from contract import strict_json
from queue_agent.errors import ServerAway, ServerError

logger = logging.getLogger(__name__)

_CONNECT_S = 10
_ANSWER_S = 20
_KEEP_ALIVE_S = 4
"""Python's servers close an idle connection after 5 s; a request written at that moment is lost."""
_BUFFER_BYTES = 256 * 1024
_WHOLE_ANSWER_S = 60
"""A response read as a whole must be complete by then, however steadily its bytes arrive."""
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_PIECE = 1024 * 1024
"""Bytes or characters of a large body that are written at once."""
_QUICKLY_READ_BYTES = 256 * 1024
_MAX_STREAM_BYTES = 5 * 1024 * 1024 * 1024
_MAX_DIGITS = 4000
_FIRST_PAUSE_S = 0.05
_LAST_PAUSE_S = 0.5
_LOG_EVERY_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read."""

    status: int
    body: bytes

    def json(self) -> Any:
        return read_json(self.body)

    def json_or_none(self) -> Any:
        """Its JSON; None where it has none."""
        with suppress(ServerError):
            return self.json()
        return None


@dataclass(frozen=True, slots=True)
class AnswerStream:
    """An answer that is being read; its chunks raise ServerError when the body does not arrive whole."""

    status: int
    chunks: AsyncIterator[bytes]


class ModelServerClient:
    """The server's API, its failures translated into the agent's errors. Create it in a running event loop.

    Requests are never retried: a second POST is a second job. The health path is a cheap GET on the same host that
    answers 200 once the server takes jobs.
    """

    def __init__(self, base_url: str, health_path: str) -> None:
        url = _with_scheme(base_url)
        self.origin = origin_of(base_url)
        self.base_url = URL(url if url.endswith("/") else f"{url}/")
        self._health_url = self.base_url.with_path(health_path)
        self._http = aiohttp.ClientSession(
            self.base_url,
            # No limit: event streams last as long as their jobs, and a probe must never wait behind them.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A picture is as small as it gets: to unpack it would only cost time.
            headers={"Accept-Encoding": "identity"},
            json_serialize=strict_json.dumps,
            read_bufsize=_BUFFER_BYTES,
        )

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str | URL,
        *,
        timeout_s: float | None = _ANSWER_S,
        max_bytes: int = _MAX_STREAM_BYTES,
        **options: Any,
    ) -> AsyncIterator[AnswerStream]:
        """Send a request and read its answer as it arrives; any status is an answer.

        The server may send nothing for ``timeout_s``, or, where that is None, for as long as the GPU takes; a body
        above ``max_bytes`` breaks off with a ServerError. ``options`` are aiohttp's; ``data`` may also be a tuple of
        bytes, sent in order.

        Raises:
            ServerAway: The server cannot be connected to.
            ServerError: It hung up or was silent before its answer began.
        """
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_S, sock_connect=_CONNECT_S, sock_read=timeout_s)
        if isinstance(parts := options.get("data"), bytes | tuple):
            parts = parts if isinstance(parts, tuple) else (parts,)
            size = {"Content-Length": str(sum(map(len, parts)))}
            options |= {"data": _pieces_of(parts), "headers": {**options.get("headers", {}), **size}}
        with self._translated():
            response = await self._http.request(method, path, timeout=timeout, allow_redirects=False, **options)
        async with response:
            yield AnswerStream(response.status, self._chunks(response, max_bytes))

    async def send(
        self,
        method: str,
        path: str | URL,
        *,
        timeout_s: float | None = _ANSWER_S,
        max_bytes: int = _MAX_ANSWER_BYTES,
        **options: Any,
    ) -> Answer:
        """Send a request and read its answer; any status is one.

        The parameters are those of ``stream``. Unless ``timeout_s`` is None, the whole answer must arrive within 60 s.

        Raises:
            ServerError: The server is away, hung up before its answer was whole, or sends too much or too slowly.
        """
        try:
            async with asyncio.timeout(None if timeout_s is None else _WHOLE_ANSWER_S) as limit:
                options |= {"timeout_s": timeout_s, "max_bytes": max_bytes}
                async with self.stream(method, path, **options) as answer:
                    return Answer(answer.status, b"".join([chunk async for chunk in answer.chunks]))
        except TimeoutError as exc:
            if not limit.expired():
                raise
            words = f"The model server at {self.origin} did not send its whole response within {_WHOLE_ANSWER_S:g} s."
            raise ServerError(words) from exc

    async def get_json(self, path: str, **options: Any) -> Any:
        """GET some JSON; ServerError where the server is away, answers another status than 200, or no JSON."""
        answer = await self.send("GET", path, **options)
        if answer.status != HTTPStatus.OK:
            raise ServerError(f"The model server answers {answer.status} to {path}.")
        if len(answer.body) < _QUICKLY_READ_BYTES:
            return answer.json()
        return await asyncio.to_thread(answer.json)

    async def get_object(self, path: str, **options: Any) -> dict[str, Any]:
        """GET a JSON object, as ``get_json`` does; JSON of any other kind counts as an empty one."""
        return as_object(await self.get_json(path, **options))

    @asynccontextmanager
    async def read_file(self, path: str, **options: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a file that a job has saved on the server; ServerError as for ``stream``, and for another status."""
        async with self.stream("GET", path, **options) as answer:
            if answer.status != HTTPStatus.OK:
                raise ServerError(f"The model server answers {answer.status} to a file it has saved.")
            yield answer.chunks

    async def wait_until_ready(self, read: Callable[[Answer], object] = lambda _: None) -> None:
        """Return once the health path answers 200, and ``read`` does not reject that answer by a ServerError."""
        started_s, pause_s, next_log_s = monotonic(), _FIRST_PAUSE_S, 0.0
        while True:
            try:
                answer = await self.send("GET", self._health_url, timeout_s=10)
                if answer.status == HTTPStatus.OK:
                    read(answer)
                    return
                reason = f"The model server at {self.origin} answers {answer.status} to {self._health_url.path}."
            except ServerError as exc:
                reason = str(exc)
            waited_s = monotonic() - started_s
            if waited_s >= next_log_s:
                logger.info("waiting for the model server: %s", reason, extra={"waited_s": round(waited_s)})
                next_log_s = waited_s + _LOG_EVERY_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _chunks(self, response: aiohttp.ClientResponse, max_bytes: int) -> AsyncIterator[bytes]:
        size_bytes = 0
        with self._translated():
            async for chunk in response.content.iter_any():
                size_bytes += len(chunk)
                if size_bytes > max_bytes:
                    raise ServerError(f"The model server's response is larger than {max_bytes} bytes.")
                yield chunk

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError) as exc:
            never_connected = isinstance(exc, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            error = ServerAway if never_connected else ServerError
            raise error(f"The model server at {self.origin} does not answer ({type(exc).__name__}).") from exc


def origin_of(base_url: str) -> str:
    """Where a server is, as logs and messages name it: scheme, host and port, and no password."""
    return str(URL(_with_scheme(base_url)).origin())


def _with_scheme(base_url: str) -> str:
    return base_url if "://" in base_url else f"http://{base_url}"


def write_json(value: Any) -> bytes:
    """Write a request's JSON. Call it in a thread: pictures in it are megabytes of text.

    Long texts are written piece by piece: the interpreter's lock is never held for long, nor while bytes are joined.
    """
    marker, texts = uuid.uuid4().hex, list[str]()
    short = _without_long_texts(value, marker, texts)
    try:
        whole = orjson.dumps(short)
    except orjson.JSONEncodeError:  # as a number of more than 64 bits
        whole = strict_json.dumps(short).encode()
    first, *others = whole.split(marker.encode())
    pieces = [first]
    for text, other in zip(texts, others, strict=True):
        pieces += [orjson.dumps(text[start : start + _PIECE])[1:-1] for start in range(0, len(text), _PIECE)]
        pieces.append(other)
    return b"".join(pieces)


def _without_long_texts(value: Any, marker: str, texts: list[str]) -> Any:
    """A copy of some JSON with a marker in place of each long text, which is added to ``texts``."""
    if isinstance(value, dict):
        return {key: _without_long_texts(item, marker, texts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_long_texts(item, marker, texts) for item in value]
    if isinstance(value, str) and len(value) > _PIECE:
        texts.append(value)
        return marker
    return value


async def _pieces_of(parts: Sequence[bytes | memoryview]) -> AsyncIterator[memoryview]:
    for part in parts:
        whole = memoryview(part)
        for start in range(0, len(whole), _PIECE):
            yield whole[start : start + _PIECE]


def read_json(body: bytes) -> Any:
    """Read an answer's JSON, or raise ServerError; NaN, infinities and endless numbers become null."""
    try:
        return json.loads(body, parse_constant=lambda _: None, parse_float=_finite_or_none, parse_int=_int_or_none)
    except (ValueError, RecursionError) as exc:
        raise ServerError("The model server's response is not JSON.") from exc


def _finite_or_none(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _int_or_none(text: str) -> int | None:
    return int(text) if len(text) <= _MAX_DIGITS else None


def as_object(value: Any) -> dict[str, Any]:
    """A value of foreign JSON where an object belongs; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def as_int(value: Any) -> int | None:
    """A value of foreign JSON where a whole number belongs, such as a seed; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
