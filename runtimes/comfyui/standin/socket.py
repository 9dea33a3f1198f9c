"""The websockets: who listens under which client id, and what is sent to them in which order."""

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from runtimes.standin.faults import FaultBoard

FEATURES = {"supports_preview_metadata": True, "max_upload_size": 104857600}
BINARY = "binary"

_Message = tuple[str, str | bytes, str | None]


@dataclass(frozen=True)
class _Line:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None


class Hub:
    """The open sockets by client id, and one queue through which every event leaves."""

    def __init__(self, faults: FaultBoard) -> None:
        self._faults = faults
        self._sockets: dict[str, _Line] = {}
        self._features: dict[str, dict[str, Any]] = {}
        self._messages: asyncio.Queue[_Message] = asyncio.Queue()

    def supports_metadata(self, client_id: str | None) -> bool:
        """Whether the client said that it reads pictures with a header."""
        return bool(self._features.get(client_id or "", {}).get("supports_preview_metadata"))

    def publish(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        """Send an event to one client, or to every socket for None."""
        self._messages.put_nowait((event, json.dumps({"type": event, "data": data}), client_id))

    def publish_bytes(self, frame: bytes, client_id: str | None = None) -> None:
        """Send a binary frame to one client, or to every socket for None."""
        self._messages.put_nowait((BINARY, frame, client_id))

    async def run(self) -> None:
        """Send what is published, for ever."""
        while True:
            await self._send(*await self._messages.get())

    async def listen(self, request: web.Request, greet: Callable[[str], list[tuple[str, dict[str, Any]]]]) -> Any:
        """Serve one socket until it closes; `greet` gives the first events for a client id."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        # A second socket of the same client takes the place of the first, and takes it away when it closes.
        self._sockets[client_id] = _Line(socket, request.transport)
        self._features.pop(client_id, None)
        try:
            for event, data in greet(client_id):
                await self._send(event, json.dumps({"type": event, "data": data}), client_id)
            first = True
            async for message in socket:
                if message.type == WSMsgType.TEXT and first:
                    await self._negotiate(client_id, message.data)
                    first = False
        finally:
            self._sockets.pop(client_id, None)
            self._features.pop(client_id, None)
        return socket

    def cut_all(self) -> None:
        """Close every connection without a close frame, as the end of a process does."""
        for name in list(self._sockets):
            self._cut(name)

    def _cut(self, client_id: str) -> None:
        line = self._sockets.pop(client_id, None)
        if line is not None and line.transport is not None:
            line.transport.close()

    async def _negotiate(self, client_id: str, text: str) -> None:
        with suppress(ValueError, AttributeError):
            message = json.loads(text)
            if message.get("type") == "feature_flags":
                self._features[client_id] = dict(message.get("data", {}))
                await self._send("feature_flags", json.dumps({"type": "feature_flags", "data": FEATURES}), client_id)

    async def _send(self, event: str, content: str | bytes, client_id: str | None) -> None:
        faults = self._faults.now
        if event in faults.mute_events:
            return
        for name in list(self._sockets) if client_id is None else [client_id]:
            line = self._sockets.get(name)
            if line is None:
                continue
            with suppress(ConnectionError, RuntimeError):
                await (line.socket.send_bytes(content) if isinstance(content, bytes) else line.socket.send_str(content))
            if event == faults.drop_socket_after:
                self._cut(name)
