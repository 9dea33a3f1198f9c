"""Server-sent events, as the HTML standard has them: lines of ``field: value``, an empty line after each event."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from queue_agent.errors import ServerError
from runtimes._http import read_json

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Far above a preview in base64; what is longer is no event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        kind: Its name: state, progress, output, freed, end.
        data: Its JSON.
    """

    kind: str
    data: Any


async def events_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Read events as they arrive; comments, and events without data, are passed over.

    Raises:
        ServerError: The stream breaks, or an event is too large or no JSON.
    """
    kind, data = "message", bytearray()
    async for line in _lines_in(chunks):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                yield Event(kind, read_json(bytes(data)))
            kind, data = "message", bytearray()
        elif name == b"event":
            kind = value.decode(errors="replace")
        elif name == b"data":
            data += value
            _check_size(len(data))


async def _lines_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for chunk in chunks:
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            yield bytes(rest + line).removesuffix(b"\r")
            rest.clear()
        rest += tail
        _check_size(len(rest))


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_EVENT_BYTES:
        raise ServerError(f"An event of the model server's is larger than {MAX_EVENT_BYTES} bytes.")
