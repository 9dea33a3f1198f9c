"""ComfyUI's websocket: says when a prompt ends, and carries the pictures of SaveImageWebsocket."""

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection

from contract import strict_json
from jobs.job import Progress
from queue_agent.ports import MAX_PREVIEW_BYTES, RunSignals, progress_of
from runtimes._http import as_object
from runtimes._queued import QueuedJob
from runtimes._socket import EventSocket
from runtimes._wording import shorten
from runtimes.comfyui.driver.workflow import WEBSOCKET_CLASS, Workflow

_MAX_KEPT_BYTES = 512 * 1024 * 1024
_MAX_EVENT_CHARS = 4 * 1024 * 1024
_MAX_METADATA_BYTES = 64 * 1024
_MAX_BLOCKED = 20
_PREVIEW_IMAGE = 1
_PREVIEW_IMAGE_WITH_METADATA = 4
_SIGNS_OF_LIFE = ("execution_start", "executing", "progress")
_PROGRESS_OF_ALL, _KIND_CHARS = '"progress_state"', 40
"""Of the most frequent and longest event only its arrival is used; its kind is at its beginning."""
_BLOCKED = "ExecutionBlocked"
"""The type of an execution_error that ends nothing: a node is skipped with all that it feeds; the others run."""
_ENDINGS = ("execution_success", "execution_error", "execution_interrupted")
"""ComfyUI writes its history after these, and then says that it executes no node."""


class Prompt(QueuedJob[Workflow]):
    """What is known of a prompt, as ComfyUI calls a job.

    Attributes:
        recorded: Set when the server says that the prompt is over and in its history.
        blocked: Why nodes were skipped, the first 20 of them, in their words.
        pictures: Pictures that came through the socket, with the node that sent each.
        preview: The latest picture of a node's unfinished work that is not too large; None before the first.
    """

    def __init__(self, job: str, server_id: str, prepared: Workflow, signals: RunSignals) -> None:
        super().__init__(job, server_id, prepared, signals)
        prepared.name_files_after(server_id)
        self.recorded = asyncio.Event()
        self._progress: Progress | None = None
        self.blocked: list[str] = []
        self.pictures: list[tuple[str, bytes]] = []
        self.preview: bytes | None = None
        self._kept_bytes = 0

    @property
    def progress(self) -> Progress | None:
        """Which node runs, and how far that one is where it says so; None before the first."""
        return self._progress

    @property
    def lacks_pictures(self) -> bool:
        """Whether pictures were too many to be kept."""
        return self._kept_bytes > _MAX_KEPT_BYTES

    def keep(self, node_id: str, picture: bytes) -> None:
        """Keep a picture; those beyond 512 MiB are dropped, and their job fails."""
        self._kept_bytes += len(picture)
        if not self.lacks_pictures:
            self.pictures.append((node_id, picture))

    def heed(self, kind: str | None, data: Mapping[str, Any]) -> None:
        """Note an event."""
        if kind == "execution_error" and data.get("exception_type") == _BLOCKED:
            self.begin()
            if len(self.blocked) < _MAX_BLOCKED:
                self.blocked.append(shorten(str(data.get("exception_message"))))
        elif kind in _ENDINGS:
            self.free()
        elif kind == "executing" and data.get("node") is None:
            self.free()
            self.recorded.set()
        elif kind in _SIGNS_OF_LIFE:
            self.begin()
        if kind == "executing":
            self._progress = progress_of(stage=self._stage_of(data))
        elif kind == "progress":
            step, steps = data.get("value"), data.get("max")
            stage = self._stage_of(data) or (self._progress.stage if self._progress else None)
            self._progress = progress_of(_fraction(step, steps), step=step, steps=steps, stage=stage)

    def _stage_of(self, data: Mapping[str, Any]) -> str | None:
        """What the workflow calls the node of an event; of a node that was put in place of one, what that is called."""
        nodes = (data.get("display_node"), data.get("node"))
        return next(filter(None, (self.prepared.name_of(node) for node in nodes if isinstance(node, str))), None)


class EventStream(EventSocket):
    """One websocket for all prompts of this agent, which it knows by id.

    Its URL holds the client id that the prompts are posted under. A second socket with the same id would silently take
    the first one's events.
    """

    def __init__(self, url: str, prompts: Mapping[str, Prompt]) -> None:
        super().__init__(url)
        self._prompts = prompts
        self._running: tuple[str | None, str | None] = (None, None)

    async def _read(self, socket: ClientConnection) -> None:
        # The first message decides: with it the server names the node and the job of every picture it sends.
        features = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
        await socket.send(strict_json.dumps(features))
        async for message in socket:
            # The server greets with a status; from then on events of jobs reach this socket.
            self._connected.set()
            self.take(message)

    def take(self, message: str | bytes) -> None:
        """Pass a message on to its prompt: an event, or a picture in a binary frame."""
        if isinstance(message, bytes):
            self._take_picture(message)
        elif _PROGRESS_OF_ALL in message[:_KIND_CHARS]:
            self.heard += 1
        else:
            self._take_event(message)

    def _take_event(self, text: str) -> None:
        try:
            event = as_object(json.loads(text) if len(text) <= _MAX_EVENT_CHARS else None)
        except (ValueError, RecursionError):
            return
        kind, data = event.get("type"), as_object(event.get("data"))
        prompt_id, node_id = data.get("prompt_id"), data.get("node")
        if not all(one is None or isinstance(one, str) for one in (kind, prompt_id, node_id)):
            return
        if kind == "executing":
            # After a reconnect in mid-run the server names the node but not the job: it is the one known before.
            self._running = (prompt_id or self._running[0], node_id)
        if prompt := self._prompts.get(prompt_id or ""):
            self.heard += 1
            prompt.heed(kind, data)

    def _take_picture(self, frame: bytes) -> None:
        """Keep a picture if the node that sent it is one to save; of all others, which are previews, the latest."""
        try:
            kind, length_or_format = struct.unpack_from(">II", frame)
            if kind == _PREVIEW_IMAGE:
                (prompt_id, node_id), picture = self._running, frame[8:]
            elif kind == _PREVIEW_IMAGE_WITH_METADATA and length_or_format <= _MAX_METADATA_BYTES:
                metadata = as_object(strict_json.loads(frame[8 : 8 + length_or_format]))
                prompt_id, node_id = str(metadata.get("prompt_id")), str(metadata.get("node_id"))
                picture = frame[8 + length_or_format :]
            else:
                return
        except (struct.error, ValueError):
            return
        prompt = self._prompts.get(prompt_id or "")
        if prompt is None or node_id is None:
            return
        if prompt.prepared.class_of(node_id) == WEBSOCKET_CLASS:
            prompt.keep(node_id, picture)
        elif len(picture) <= MAX_PREVIEW_BYTES:
            prompt.preview = picture


def _fraction(value: Any, most: Any) -> float | None:
    try:
        return value / most if 0 < value <= most else None
    except (TypeError, OverflowError):
        return None
