"""InvokeAI's events, over socket.io: how far a job is, and that it has ended.

Of socket.io (protocol 5) and its transport engine.io (protocol 4) this is all that is needed: a handshake of one
message each way, ping and pong, and events as JSON (github.com/socketio/socket.io-protocol). Every listener hears of
the jobs of all clients; nothing is sent twice.
"""

import asyncio
import binascii
import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection

from contract import strict_json
from jobs.job import Progress
from queue_agent.ports import MAX_PREVIEW_BYTES, RunSignals, progress_of
from runtimes._http import as_object
from runtimes._queued import QueuedJob
from runtimes._socket import EventSocket
from runtimes._wording import shorten_name
from runtimes.invokeai.driver.session import Session

QUEUE = "default"
PATH = "ws/socket.io/"
QUERY = {"EIO": "4", "transport": "websocket"}

_PING, _PONG, _CONNECT, _CONNECTED, _EVENT = "2", "3", "40", "40", "42"
_MAX_EVENT_CHARS = 4 * 1024 * 1024
_UNFINISHED = ("pending", "in_progress", "waiting")
_ENDED_BADLY = ("failed", "canceled")


class Run(QueuedJob[Session]):
    """What is known of a job, whose items on the server all have its id as their destination.

    Attributes:
        ended: Set when the server says that it is over.
    """

    def __init__(self, job: str, server_id: str, prepared: Session, signals: RunSignals) -> None:
        super().__init__(job, server_id, prepared, signals)
        prepared.server_id = server_id
        self.ended = asyncio.Event()
        self._progress: Progress | None = None
        self._image: str | None = None

    @property
    def progress(self) -> Progress | None:
        """Which node runs, and how far that one is where it says so; None before the first."""
        return self._progress

    @property
    def preview(self) -> bytes | None:
        """The latest picture of a node's unfinished work that is not too large; None before the first."""
        if self._image is None:
            return None
        try:
            return b64decode(self._image.partition(",")[2])
        except binascii.Error:
            return None

    def heed(self, kind: str, data: Mapping[str, Any]) -> None:
        """Note an event."""
        if kind == "queue_item_status_changed":
            batch, status = as_object(data.get("batch_status")), data.get("status")
            if status == "in_progress":
                self.begin()
            if status in _ENDED_BADLY or (status == "completed" and not any(map(batch.get, _UNFINISHED))):
                self.free()
                self.ended.set()
        elif kind in {"invocation_started", "invocation_progress"}:
            self.begin()
            node, fraction = as_object(data.get("invocation")), data.get("percentage")
            steps = None if node.get("denoising_start") else node.get("steps")
            step = round(fraction * steps) if isinstance(fraction, float) and isinstance(steps, int) else None
            self._progress = progress_of(fraction, step=step, steps=steps, stage=self._stage_of(data, node))
            image = as_object(data.get("image")).get("dataURL")
            if isinstance(image, str) and len(image) * 3 // 4 <= MAX_PREVIEW_BYTES:
                self._image = image

    def _stage_of(self, data: Mapping[str, Any], node: Mapping[str, Any]) -> str:
        """What the graph calls the node of an event; one of a saved workflow that a node calls has only its type."""
        name = self.prepared.name_of(str(data.get("invocation_source_id")))
        return name or shorten_name(str(node.get("type")))


class ItemEvents(EventSocket):
    """One socket for all jobs of this agent, which it knows by their ids on the server."""

    def __init__(self, url: str, runs: Mapping[str, Run]) -> None:
        super().__init__(url)
        self._runs = runs

    async def _read(self, socket: ClientConnection) -> None:
        await socket.recv()  # engine.io opens
        await socket.send(_CONNECT)
        async for message in socket:
            if message == _PING:
                await socket.send(_PONG)
            elif isinstance(message, str) and message.startswith(_EVENT):
                self.take(message.removeprefix(_EVENT))
            elif isinstance(message, str) and message.startswith(_CONNECTED):
                await socket.send(_EVENT + strict_json.dumps(["subscribe_queue", {"queue_id": QUEUE}]))
                self._connected.set()

    def take(self, text: str) -> None:
        """Pass an event on to its job, which its destination names."""
        try:
            event = json.loads(text) if len(text) <= _MAX_EVENT_CHARS else None
        except (ValueError, RecursionError):
            return
        match event:
            case [str(kind), dict(data)] if run := self._runs.get(str(data.get("destination"))):
                # A server whose worker hangs cancels items all the same.
                self.heard += data.get("status") != "canceled"
                run.heed(kind, data)
