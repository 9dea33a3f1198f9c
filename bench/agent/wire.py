"""A wire between two programs that makes every call as slow as it is in a region, and notes when each was made."""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from local.ports import free_port

ROUND_TRIPS_S: Mapping[str, float] = {"s3": 0.060, "sns": 0.025, "sqs": 0.012, "dynamodb": 0.008}
"""What a call of each service takes within a region, on top of what it takes here."""

_CHUNK_BYTES = 256 * 1024
_HEAD = re.compile(rb"([A-Z]+) \S+ HTTP/1\.[01]\r\n")
_HEAD_END = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100"  # no answer yet
_CLOSE = re.compile(rb"\r\nconnection: *close(?=\r\n|$)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\n(?:content-length|transfer-encoding):", re.IGNORECASE)
_SCOPE = re.compile(rb"(?:/|%2F)\d{8}(?:/|%2F)[a-z0-9-]+(?:/|%2F)([a-z0-9]+)(?:/|%2F)aws4_request", re.IGNORECASE)
_TARGET = re.compile(rb"^x-amz-target: *\S*?(\w+)\r$", re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class Call:
    """One request and its answer.

    Attributes:
        name: What was asked, as "sqs ReceiveMessage" or "s3 PUT".
        round_trip_s: What the wire adds.
        asked: Unix time at which the request's first bytes came.
        answered: Unix time at which the answer's first bytes went back; None until then.
        ended: Unix time at which its last bytes so far went back.
    """

    name: str
    round_trip_s: float
    asked: float
    answered: float | None = None
    ended: float | None = None


class Wire:
    """Listens on a port and passes everything on to AWS's; an async context manager.

    It reads heads and no bodies: half of the round trip passes before a request's first bytes go on, half before the
    answer's, and what follows streams. When one end hangs up, so does the other: long polls end as they would. Only
    where the server asks for a new connection with every call, as moto does and AWS does not, the client keeps its own.
    """

    def __init__(self, upstream_port: int) -> None:
        self.port = free_port()
        self.calls: list[Call] = []
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_CHUNK_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: cancelling the one that asyncio made would be reported as its failure.
        task = asyncio.create_task(self._connect(reader, writer), name="wire")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            talk = _Talk(self._upstream_port, self.calls)
            try:
                await talk.pass_requests(reader, writer)
            finally:
                await talk.close()


class _Talk:
    """What is said on one connection: requests and answers in turn."""

    def __init__(self, upstream_port: int, calls: list[Call]) -> None:
        self._upstream_port = upstream_port
        self._calls = calls
        self._call: Call | None = None
        self._upstream: asyncio.StreamWriter | None = None
        self._answers: asyncio.Task[None] | None = None
        self._is_last = False
        """Whether upstream hangs up after this answer and the client need not know."""

    async def pass_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            if _HEAD.match(chunk) and (self._call is None or self._call.answered is not None):
                asked = time.time()
                while _HEAD_END not in chunk and (more := await reader.read(_CHUNK_BYTES)):
                    chunk += more
                name, round_trip_s = read_head(chunk[: chunk.find(_HEAD_END) + len(_HEAD_END)])
                await self._reach(writer)
                self._call = Call(name, round_trip_s, asked)
                self._calls.append(self._call)
                await asyncio.sleep(round_trip_s / 2)
            if self._upstream is None:  # whoever this is, they do not speak HTTP
                return
            self._upstream.write(chunk)
            await self._upstream.drain()

    async def close(self) -> None:
        """Hang up upstream."""
        if self._answers is not None:
            self._answers.cancel()
            await asyncio.gather(self._answers, return_exceptions=True)
        if self._upstream is not None:
            self._upstream.close()

    async def _reach(self, writer: asyncio.StreamWriter) -> None:
        """Connect upstream, unless the last call's connection is still good."""
        if self._answers is not None and self._is_last:
            await self._answers
            await self.close()
            self._upstream = None
        if self._upstream is None:
            self._is_last = False
            reader, self._upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=_CHUNK_BYTES)
            self._answers = asyncio.create_task(self._pass_answers(reader, writer), name="wire answers")

    async def _pass_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                call = self._call
                if call is not None and call.answered is None:
                    while _HEAD_END not in chunk and (more := await reader.read(_CHUNK_BYTES)):
                        chunk += more
                    if not chunk.startswith(_CONTINUE):
                        await asyncio.sleep(call.round_trip_s / 2)
                        call.answered = time.time()
                        chunk = self._without_close(chunk)
                writer.write(chunk)
                await writer.drain()
                if call is not None:
                    call.ended = time.time()
        finally:
            if not self._is_last:
                writer.close()

    def _without_close(self, answer: bytes) -> bytes:
        """Take "Connection: close" out of an answer whose end the client can tell without it."""
        head, end, body = answer.partition(_HEAD_END)
        kept, found = _CLOSE.subn(b"", head)
        self._is_last = bool(found) and _LENGTH.search(head) is not None
        return kept + end + body if self._is_last else answer


def read_head(head: bytes) -> tuple[str, float]:
    """A call's name, and the seconds it is to cost: the scope of its signature tells its service."""
    first, scope, target = _HEAD.match(head), _SCOPE.search(head), _TARGET.search(head)
    service = scope[1].decode().lower() if scope else "unsigned"
    named = target or first
    operation = named[1].decode() if named else "?"
    return f"{service} {operation}", ROUND_TRIPS_S.get(service, 0.0)
