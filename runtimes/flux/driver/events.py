"""The events of a job: server-sent events as the HTML standard has them, and what they say of the job."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from jobs.job import Progress
from queue_agent.errors import ServerError
from queue_agent.ports import RunSignals, progress_of
from runtimes._http import as_object, read_json
from runtimes._queued import QueuedJob
from runtimes.flux.driver.request import PreparedRequest

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Far above a preview in base64."""


class ServerEvent(NamedTuple):
    """An event: its name (state, progress, output, freed, end) and its JSON."""

    kind: str
    data: Any


async def events_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """Read events as they arrive; comments, and events without data, are skipped.

    Raises:
        ServerError: The stream breaks, or an event is too large or no JSON.
    """
    kind, data = "message", bytearray()
    async for line in _lines_in(chunks):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                yield ServerEvent(kind, read_json(bytes(data)))
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
        raise ServerError(f"An event from the model server is larger than {MAX_EVENT_BYTES} bytes.")


class _Step(NamedTuple):
    """The last step: how far the job was after it, when that was said, and the step's own part of the job."""

    done: float
    told_s: float
    share: float


class FluxJob(QueuedJob[PreparedRequest]):
    """A job of the flux server; knows how far it is between two steps, too."""

    def __init__(
        self,
        job: str,
        server_id: str,
        prepared: PreparedRequest,
        signals: RunSignals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(job, server_id, prepared, signals)
        self.heard = 0  # events so far
        self.has_preview = False  # an edit may ask the server itself for one
        self._clock = clock
        self._began_s = 0.0
        self._step: _Step | None = None
        self._steps: tuple[object, object] = (None, None)

    @property
    def fraction(self) -> float | None:
        """How far the job is; None before its first step. Within a step it goes on at the pace so far."""
        if self._step is None or not self._has_begun:
            return None
        step, taken_s = self._step, self._step.told_s - self._began_s
        pace = step.done / taken_s if taken_s > 0 else 0.0
        return min(step.done + min(step.share, pace * (self._clock() - step.told_s)), 1.0)

    @property
    def progress(self) -> Progress | None:
        """How far the job is, and how far what is drawn at the moment of it."""
        step, steps = self._steps
        return progress_of(self.fraction, step=step, steps=steps, stage="sampling" if steps else None)

    def begin(self, batch: int | None = None) -> None:
        """Note that the GPU works on it."""
        if not self._has_begun:
            self._began_s = self._clock()
        super().begin(batch)

    def heed(self, event: ServerEvent) -> None:
        """Note an event."""
        self.heard += 1
        data = as_object(event.data)
        match data.get("progress"):
            case int() | float() as fraction if 0 <= fraction <= 1:
                self._note_progress(fraction)
        if "step" in data:
            self._steps = data["step"], data.get("steps")
        self.note_state(data.get("state"), data.get("batch"))
        self.has_preview |= event.kind == "output" and data.get("kind") == "preview"
        if event.kind == "freed":
            self.free()

    def _note_progress(self, fraction: float) -> None:
        """A job whose worker was lost begins again at 0."""
        before = self._step.done if self._step else 0.0
        if fraction == 0:
            self._step = None
        elif fraction != before:
            self._step = _Step(fraction, self._clock(), fraction - before)
