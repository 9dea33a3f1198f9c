"""Reads the bodies of requests: how large one may be, and how much of all of them is in memory at once."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request

from contract.field_errors import FieldError
from contract.inputs import MAX_CONTENT_BYTES, MAX_LINKED_BYTES
from contract.strict_json import loads
from runtimes.flux.server.orders import RequestFaults
from runtimes.flux.server.service import UnavailableError

_MIB = 1024 * 1024
_MAX_IMAGE_BYTES = 4 * math.ceil(MAX_LINKED_BYTES / 3)
"""Of all images in base64."""
_MAX_TEXT_BYTES = 3 * MAX_CONTENT_BYTES
"""Of a task's content, once it is written in ASCII: two bytes of UTF-8 become six."""
MAX_BODY_MIB = math.ceil((_MAX_TEXT_BYTES + _MAX_IMAGE_BYTES) / _MIB)
"""Takes all that a queue agent may make of a task."""
_AT_ONCE = 2
"""A queue agent posts so many."""
_LARGE_BYTES = 256 * 1024


class TooLargeError(Exception):
    """A request's body is too large; the message says how large it may be."""


class Intake:
    """All bodies that are being read or made into jobs; each takes up to three times its size of memory meanwhile.

    A body counts as far as it has arrived. Where there are too many, the one that goes too far is refused.

    Args:
        max_bytes: Of one body.
        at_once: How many of the largest there may be together.
    """

    def __init__(self, max_bytes: int = MAX_BODY_MIB * _MIB, at_once: int = _AT_ONCE) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_at_once = at_once * max_bytes
        self._held_bytes = 0

    @asynccontextmanager
    async def object_of(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        """Read a JSON object; it counts as held until the context is left.

        Raises:
            TooLargeError: There is more of it than the server takes.
            UnavailableError: There is more of it than is free at the moment.
            RequestFaults: It is none.
        """
        self._check_size(_announced_bytes(request))
        chunks: list[bytes] = []
        read_bytes = 0
        try:
            async for chunk in request.stream():
                read_bytes += len(chunk)
                self._held_bytes += len(chunk)
                self._check_size(read_bytes)
                chunks.append(chunk)
            yield await _object_in(chunks)
        finally:
            self._held_bytes -= read_bytes

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise TooLargeError(f"the body may have at most {self._max_bytes / _MIB:g} MiB")
        if self._held_bytes > self._max_bytes_at_once:
            raise UnavailableError("too many large requests are being read")


def _announced_bytes(request: Request) -> int:
    """What the caller says that the body has; 0 where nothing is said."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


async def _object_in(chunks: list[bytes]) -> dict[str, Any]:
    """Parse a body, and let go of its chunks.

    Raises:
        RequestFaults: It is no JSON object.
    """
    body = b"".join(chunks)
    chunks.clear()
    try:
        content = await asyncio.to_thread(loads, body) if len(body) > _LARGE_BYTES else loads(body)
    except ValueError as exc:
        raise RequestFaults([FieldError("", str(exc))]) from exc
    if not isinstance(content, dict):
        raise RequestFaults([FieldError("", "must be an object")])
    return content
