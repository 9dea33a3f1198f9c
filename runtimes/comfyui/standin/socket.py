"""The websockets by client id, and the ordered events for them."""

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from runtimes.standin.control import Control

_Greet = Callable[[str], list[tuple[str, dict[str, Any]]]]
FEATURES = {"supports_preview_metadata": True, "max_upload_size": 104857600}


class Hub:
    """The open sockets by client id, and one queue for all events."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._sockets: dict[str, tuple[web.WebSocketResponse, asyncio.Transport | None]] = {}
        self._features: dict[str, dict[str, Any]] = {}
        self._messages: asyncio.Queue[tuple[str, str | bytes, str | None]] = asyncio.Queue()

    def supports_metadata(self, client_id: str | None) -> bool:
        """Whether the client can read pictures with a header."""
        return bool(self._features.get(client_id or "", {}).get("supports_preview_metadata"))

    def publish(self, event: str, data: dict[str, Any] | bytes, client_id: str | None = None) -> None:
        """Send an event or a binary frame to a client, or to every socket for None."""
        self._messages.put_nowait((event, _packed(event, data), client_id))

    async def run(self) -> None:
        """Send published events for ever."""
        while True:
            await self._send(*await self._messages.get())

    async def listen(self, request: web.Request, greet: _Greet) -> web.StreamResponse:
        """Serve a socket until it closes; `greet` returns the first events for a client id."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        # A second socket of the same client replaces the first, and removes the client when it closes.
        self._sockets[client_id] = socket, request.transport
        self._features.pop(client_id, None)
        try:
            for event, data in greet(client_id):
                await self._send(event, _packed(event, data), client_id)
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
        """Close all connections without a close frame, like the end of a process."""
        for name in list(self._sockets):
            self._cut(name)

    def _cut(self, client_id: str) -> None:
        _, transport = self._sockets.pop(client_id, (None, None))
        if transport is not None:
            transport.close()

    async def _negotiate(self, client_id: str, text: str) -> None:
        with suppress(ValueError, AttributeError):
            message = json.loads(text)
            if message.get("type") == "feature_flags":
                self._features[client_id] = dict(message.get("data", {}))
                await self._send("feature_flags", _packed("feature_flags", FEATURES), client_id)

    async def _send(self, event: str, content: str | bytes, client_id: str | None) -> None:
        faults = self._control.faults
        if event in faults.mute_events:
            return
        for name in [one for one in self._sockets if client_id in (one, None)]:
            socket, _ = self._sockets[name]
            with suppress(ConnectionError, RuntimeError):
                await (socket.send_bytes(content) if isinstance(content, bytes) else socket.send_str(content))
            if event == faults.drop_socket_after:
                self._cut(name)


def _packed(event: str, data: dict[str, Any] | bytes) -> str | bytes:
    return data if isinstance(data, bytes) else json.dumps({"type": event, "data": data})
