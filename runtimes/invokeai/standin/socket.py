"""The server's side of socket.io: every listener of the queue hears of all items."""

import asyncio
import json
import time
import uuid
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from runtimes.standin.control import Control

_PING_S = 25


class Listeners:
    """The open sockets, and one queue for all events."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._sockets: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        self._events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    def publish(self, event: str, data: dict[str, Any]) -> None:
        """Send an event to every listener."""
        # Copied by being written: what it tells must not change until it is sent.
        self._events.put_nowait((event, json.loads(json.dumps({"timestamp": int(time.time()), **data}))))

    async def run(self) -> None:
        """Send published events for ever."""
        while True:
            event, data = await self._events.get()
            if event in self._control.faults.mute_events:
                continue
            for socket in list(self._sockets):
                with suppress(ConnectionError, RuntimeError):
                    await socket.send_str(f"42{json.dumps([event, data])}")
                if event == self._control.faults.drop_socket_after:
                    self._cut(socket)

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """Serve a socket until it closes."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        opening = {"sid": uuid.uuid4().hex[:20], "upgrades": [], "pingTimeout": 20000, "pingInterval": 1000 * _PING_S}
        await socket.send_str(f"0{json.dumps({**opening, 'maxPayload': 1000000})}")
        pings = asyncio.create_task(_ping(socket))
        try:
            async for message in socket:
                if message.type != WSMsgType.TEXT:
                    continue
                if message.data == "40":
                    await socket.send_str(f"40{json.dumps({'sid': uuid.uuid4().hex[:20]})}")
                elif message.data.startswith("42") and json.loads(message.data[2:])[0] == "subscribe_queue":
                    self._sockets[socket] = request.transport
        finally:
            pings.cancel()
            self._sockets.pop(socket, None)
        return socket

    def cut_all(self) -> None:
        """Close all connections without a close frame, like the end of a process."""
        for socket in list(self._sockets):
            self._cut(socket)

    def _cut(self, socket: web.WebSocketResponse) -> None:
        transport = self._sockets.pop(socket, None)
        if transport is not None:
            transport.close()


async def _ping(socket: web.WebSocketResponse) -> None:
    while True:
        await asyncio.sleep(_PING_S)
        await socket.send_str("2")
