"""A job with its progress and outputs, and the collection of all jobs."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from runtimes.flux.server.ports import GenerationRequest
from runtimes.flux.server.worker.protocol import BatchProgress, DeviceFreed, JobOutput

_KEPT_SECONDS = 600
_KEPT_BYTES = 512 * 1024 * 1024


class ServerJobState(StrEnum):
    """The states of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    ENCODING = "encoding"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ServerJobError:
    """Why a job has no pictures: a code for programs and a message for people."""

    code: str
    message: str


JobEvent = tuple[str, dict[str, Any]]
"""A change of a job: its kind (state, progress, output, freed or end) and its content."""


@dataclass(slots=True)
class JobTimes:
    """Timestamps of a job on the monotonic clock, and durations that the worker measured."""

    added: float = field(default_factory=time.monotonic)
    began: float | None = None
    previewed: float | None = None
    freed: float | None = None
    ended: float | None = None
    encode_s: float = 0
    denoise_s: float = 0
    decode_s: float = 0

    def seconds(self) -> dict[str, float]:
        """How long each stage has taken so far; the time to a preview counts from the start of drawing."""
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


@dataclass(eq=False)
class ServerJob:
    """A request, and the state of its work."""

    request: GenerationRequest
    """Its images are freed when the job ends."""
    state: ServerJobState = ServerJobState.WAITING
    progress: float = 0.0
    """From 0 to 1."""
    step: int = 0
    """Finished denoising steps of the pictures that are being drawn together."""
    steps: int = 0
    """All steps of these pictures; 0 before the first."""
    batch: int | None = None
    """Number of its batch."""
    outputs: dict[int, JobOutput] = field(default_factory=dict)
    fetched: set[int] = field(default_factory=set)
    """Numbers of the outputs that were fetched."""
    error: ServerJobError | None = None
    warnings: tuple[str, ...] = ()
    """The worker's sentences about values without effect."""
    attempts: int = 0
    """How many workers were lost while drawing it."""
    times: JobTimes = field(default_factory=JobTimes)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _followers: set[asyncio.Queue[JobEvent]] = field(default_factory=set)

    @property
    def id(self) -> str:
        """The caller's choice, or random."""
        return self.request.job_id

    @property
    def has_ended(self) -> bool:
        """Whether it has reached its final state."""
        return self.ended.is_set()

    @property
    def outcome(self) -> str:
        """Its state, or the code of its error."""
        return self.error.code if self.error else self.state.value

    @property
    def is_complete(self) -> bool:
        """Whether all pictures are finished and the device is free."""
        pictures = sum(output.kind == "picture" for output in self.outputs.values())
        return self.state is ServerJobState.ENCODING and pictures == len(self.request.seeds)

    @property
    def is_fetched(self) -> bool:
        """Whether all its outputs were fetched; true if it has none."""
        return self.outputs.keys() <= self.fetched

    @property
    def size_bytes(self) -> int:
        """Total size of its outputs."""
        return sum(len(output.content) for output in self.outputs.values())

    def wait_again(self) -> None:
        """Go back to waiting after the loss of the worker."""
        self.state, self.progress, self.batch, self.outputs = ServerJobState.WAITING, 0.0, None, {}
        self.step = self.steps = 0
        self.fetched.clear()
        self.times.began = self.times.previewed = self.times.freed = None
        self._tell("state", self.row())

    def begin(self, batch: int, encode_s: float, warnings: tuple[str, ...] = ()) -> None:
        """Note that a worker starts to draw its batch."""
        self.state, self.batch, self.warnings = ServerJobState.RUNNING, batch, warnings
        self.times.began, self.times.encode_s = time.monotonic(), encode_s
        self._tell("state", self.row())

    def advance(self, message: BatchProgress) -> None:
        """Note the share that is denoised; progress never goes back."""
        self.progress = max(self.progress, round(message.share, 4))
        self.step, self.steps = message.step, message.steps
        self._tell("progress", {"progress": self.progress, "step": self.step, "steps": self.steps})

    def free(self, message: DeviceFreed) -> None:
        """Note that the device has finished its batch."""
        self.state = ServerJobState.ENCODING
        self.times.freed = time.monotonic()
        self.times.denoise_s, self.times.decode_s = message.denoise_s, message.decode_s
        self._tell("freed", self.row())
        self._tell("state", self.row())

    def take(self, output: JobOutput) -> None:
        """Add a finished picture or preview."""
        self.outputs[output.number] = output
        if output.kind == "preview":
            self.times.previewed = time.monotonic()
        self._tell("output", self._output_row(output))

    def end(self, error: ServerJobError | None = None) -> None:
        """End the job; an error discards its pictures."""
        self.error = error
        if error is None:
            self.state, self.progress = ServerJobState.SUCCEEDED, 1.0
        else:
            self.state = ServerJobState.CANCELLED if error.code == "cancelled" else ServerJobState.FAILED
            self.outputs = {}
        self.request = self.request.without_images()
        self.times.ended = time.monotonic()
        self.ended.set()
        self._tell("end", self.row())

    def row(self) -> dict[str, Any]:
        """All that callers may see, except the position in the queue."""
        return {
            "job_id": self.id,
            "state": self.state.value,
            "progress": self.progress,
            "step": self.step,
            "steps": self.steps,
            "batch": self.batch,
            "error": asdict(self.error) if self.error else None,
            "outputs": [self._output_row(self.outputs[number]) for number in sorted(self.outputs)],
            "parameters": self.request.parameters,
            "timings_s": self.times.seconds(),
            "warnings": [*self.request.warnings, *self.warnings],
        }

    def _output_row(self, output: JobOutput) -> dict[str, Any]:
        return {
            "number": output.number,
            "kind": output.kind,
            "seed": self.request.seeds[max(0, output.number - 1)],
            "content_type": output.content_type,
            "bytes": len(output.content),
        }

    @contextmanager
    def followed(self) -> Iterator[asyncio.Queue[JobEvent]]:
        """Receive each change from now on."""
        events: asyncio.Queue[JobEvent] = asyncio.Queue()
        self._followers.add(events)
        try:
            yield events
        finally:
            self._followers.discard(events)

    def _tell(self, kind: str, content: dict[str, Any]) -> None:
        for events in self._followers:
            events.put_nowait((kind, content))


class ServerJobs:
    """All jobs by id: waiting ones in order, running ones, and for some time those that have ended.

    Args:
        kept_seconds: How long an ended job is kept.
        kept_bytes: Limit for the outputs of all ended jobs; above it, the oldest jobs are forgotten earlier.
    """

    def __init__(self, kept_seconds: float = _KEPT_SECONDS, kept_bytes: int = _KEPT_BYTES) -> None:
        self._kept_seconds = kept_seconds
        self._kept_bytes = kept_bytes
        self._jobs: dict[str, ServerJob] = {}
        self._waiting: dict[str, ServerJob] = {}
        self._ended: dict[str, asyncio.TimerHandle] = {}
        self._ended_bytes = 0
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[ServerJob]:
        return iter(self._jobs.values())

    def get(self, job_id: str) -> ServerJob | None:
        """Find a job; None if it is unknown or forgotten."""
        return self._jobs.get(job_id)

    def add(self, job: ServerJob) -> None:
        """Add a new job to the queue."""
        self._jobs[job.id] = self._waiting[job.id] = job

    @property
    def waiting(self) -> list[ServerJob]:
        """Jobs without a worker, in the order of service."""
        return list(self._waiting.values())

    def take(self, jobs: Iterable[ServerJob]) -> None:
        """Remove jobs from the queue because a worker has them."""
        for job in jobs:
            self._waiting.pop(job.id, None)

    def put_back(self, jobs: Iterable[ServerJob]) -> None:
        """Queue jobs again, in the order in which they first came."""
        waiting = [*jobs, *self._waiting.values()]
        self._waiting = {job.id: job for job in sorted(waiting, key=lambda job: job.times.added)}

    def row(self, job: ServerJob) -> dict[str, Any]:
        """All that callers may see of a job.

        ``position`` is its place in the queue, from 1; 0 if a worker has it but has not begun; None once it runs.
        """
        position = None
        if job.state is ServerJobState.WAITING:
            position = next((place for place, job_id in enumerate(self._waiting, start=1) if job_id == job.id), 0)
        return {**job.row(), "position": position}

    def settle(self, job: ServerJob) -> None:
        """Keep an ended job for some time."""
        self._waiting.pop(job.id, None)
        self._ended[job.id] = asyncio.get_running_loop().call_later(self._kept_seconds, self.forget, job)
        self._ended_bytes += job.size_bytes
        while self._ended_bytes > self._kept_bytes and len(self._ended) > 1:
            self.forget(self._jobs[next(iter(self._ended))])
        self._changed.set()

    def fetch(self, job: ServerJob, number: int) -> JobOutput | None:
        """Get an output for a caller, by number; None if there is none."""
        output = job.outputs.get(number)
        if output is not None:
            job.fetched.add(number)
            self._changed.set()
        return output

    def forget(self, job: ServerJob) -> None:
        """Forget a job that has ended."""
        timer = self._ended.pop(job.id, None)
        if timer is None:
            return
        timer.cancel()
        self._ended_bytes -= job.size_bytes
        del self._jobs[job.id]
        self._changed.set()

    def by_state(self) -> dict[str, list[str]]:
        """Ids of all jobs, by state."""
        return {state.value: [job.id for job in self if job.state is state] for state in ServerJobState}

    async def until(self, is_over: Callable[[ServerJob], bool]) -> None:
        """Wait until a condition is true of all jobs; it is checked when a job ends, is fetched or is forgotten."""
        while not all(map(is_over, self)):
            self._changed.clear()
            await self._changed.wait()
