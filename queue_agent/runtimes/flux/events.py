"""Server-sent events, as the HTML standard has them: lines of ``field: value``, an empty line after each event."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from queue_agent.runtimes.client import read_json


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
        ModelServerFault: The stream breaks, or an event's data is no JSON.
    """
    kind, data = "message", b""
    async for line in _lines_in(chunks):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                yield Event(kind, read_json(data))
            kind, data = "message", b""
        elif name == b"event":
            kind = value.decode(errors="replace")
        elif name == b"data":
            data += value


async def _lines_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
