"""A job: what was asked for, how far it is, and what came of it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runtimes.flux.server.messages import Output
from runtimes.flux.server.orders import Asked


class State(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    ENCODING = "encoding"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job has no pictures: a code for programs, a message for its author."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Change:
    """What those who follow a job are told; ``kind`` is state, progress, output, freed or end."""

    kind: str
    content: dict[str, Any]


@dataclass(slots=True)
class Times:
    """Moments of a job, in seconds of the monotonic clock, and what the worker measured."""

    added: float = field(default_factory=time.monotonic)
    began: float | None = None
    previewed: float | None = None
    freed: float | None = None
    ended: float | None = None
    encode_s: float = 0
    denoise_s: float = 0
    decode_s: float = 0

    def seconds(self) -> dict[str, float]:
        """How long each stage took, so far; a preview counts from the beginning of the drawing."""
        now = self.ended or time.monotonic()
        stages = {
            "queue": (self.began or now) - self.added,
            "encode": self.encode_s,
            "denoise": self.denoise_s,
            "decode": self.decode_s,
            "finish": now - self.freed if self.freed else 0.0,
        }
        if self.began and self.previewed:
            stages["preview"] = self.previewed - self.began
        return {stage: round(seconds, 4) for stage, seconds in stages.items()}


class Job:
    """One request on its way.

    Attributes:
        id: Chosen by the caller, or drawn.
        asked: What is to be done; its images are let go at the end.
        state: Where it is.
        progress: From 0 to 1.
        batch: Number of the batch that it is drawn in; None before.
        outputs: What is ready, by number.
        error: Why it failed or was cancelled.
        warnings: What of the request has no effect, as the worker told.
        attempts: How many workers were lost while they drew it.
        times: When what happened.
        ended: Set when it has ended.
    """

    def __init__(self, job_id: str, asked: Asked) -> None:
        self.id = job_id
        self.asked = asked
        self.state = State.WAITING
        self.progress = 0.0
        self.batch: int | None = None
        self.outputs: dict[int, Output] = {}
        self.error: JobError | None = None
        self.warnings: tuple[str, ...] = ()
        self.attempts = 0
        self.times = Times()
        self.ended = asyncio.Event()
        self._fetched: set[int] = set()
        self._followers: set[asyncio.Queue[Change]] = set()

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED

    @property
    def is_complete(self) -> bool:
        """Whether all pictures are there and the device is done with it."""
        pictures = sum(output.kind == "picture" for output in self.outputs.values())
        return self.state is State.ENCODING and pictures == len(self.asked.order.seeds)

    @property
    def is_fetched(self) -> bool:
        """Whether each of its outputs was given to a caller, as far as there are any."""
        return self.outputs.keys() <= self._fetched

    @property
    def size_bytes(self) -> int:
        """Of its outputs."""
        return sum(len(output.content) for output in self.outputs.values())

    def wait(self) -> None:
        """It waits, again: its worker was lost."""
        self.state, self.progress, self.batch, self.outputs = State.WAITING, 0.0, None, {}
        self._fetched.clear()
        self.times.began = self.times.previewed = self.times.freed = None
        self._tell_state()

    def begin(self, batch: int, encode_s: float) -> None:
        """A worker draws it, with the others of that batch."""
        self.state, self.batch = State.RUNNING, batch
        self.times.began, self.times.encode_s = time.monotonic(), encode_s
        self._tell_state()

    def step(self, share: float) -> None:
        """So much of it is denoised; it never goes back."""
        self.progress = max(self.progress, round(share, 4))
        self._tell("progress", {"progress": self.progress})

    def free(self, denoise_s: float, decode_s: float) -> None:
        """The device is done with it."""
        self.state = State.ENCODING
        self.times.freed = time.monotonic()
        self.times.denoise_s, self.times.decode_s = denoise_s, decode_s
        self._tell("freed", self.row())
        self._tell_state()

    def take(self, output: Output) -> None:
        """A picture is ready."""
        self.outputs[output.number] = output
        if output.kind == "preview":
            self.times.previewed = time.monotonic()
        self._tell("output", self.output_row(output))

    def fetch(self, number: int) -> Output | None:
        """Give an output to a caller; None if there is none of that number."""
        output = self.outputs.get(number)
        if output is not None:
            self._fetched.add(number)
        return output

    def end(self, state: State, error: JobError | None = None) -> None:
        """Nothing more will happen; pictures of a job that did not succeed are dropped."""
        self.state, self.error = state, error
        if state is State.SUCCEEDED:
            self.progress = 1.0
        else:
            self.outputs = {}
        self.asked = self.asked.without_images()
        self.times.ended = time.monotonic()
        self.ended.set()
        self._tell("end", self.row())

    def row(self) -> dict[str, Any]:
        """All that callers may know of it, besides its place in the queue."""
        return {
            "job_id": self.id,
            "state": self.state.value,
            "progress": self.progress,
            "batch": self.batch,
            "error": {"code": self.error.code, "message": self.error.message} if self.error else None,
            "outputs": [self.output_row(self.outputs[number]) for number in sorted(self.outputs)],
            "parameters": self.asked.parameters,
            "timings_s": self.times.seconds(),
            "warnings": [*self.asked.warnings, *self.warnings],
        }

    def output_row(self, output: Output) -> dict[str, Any]:
        """What callers may know of an output without its content."""
        seeds = self.asked.order.seeds
        return {
            "number": output.number,
            "kind": output.kind,
            "seed": seeds[max(0, output.number - 1)],
            "content_type": output.content_type,
            "bytes": len(output.content),
        }

    @contextmanager
    def followed(self) -> Iterator[asyncio.Queue[Change]]:
        """Be told of each change from now on."""
        changes: asyncio.Queue[Change] = asyncio.Queue()
        self._followers.add(changes)
        try:
            yield changes
        finally:
            self._followers.discard(changes)

    def _tell_state(self) -> None:
        self._tell("state", self.row())

    def _tell(self, kind: str, content: dict[str, Any]) -> None:
        for changes in self._followers:
            changes.put_nowait(Change(kind, content))
