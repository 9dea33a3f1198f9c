"""What the agent needs from outside, as interfaces of a few methods."""

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract.notice import Notice
from contract.task import Task
from jobs.job import AlreadyFinished, Claim, ClaimDenied
from queue_agent.media import Media


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A message as SQS delivers it.

    Attributes:
        message_id: SQS's id; changes on redrive.
        receipt: Identifies this delivery in later calls.
        body: The text.
        deliveries: How often it has been delivered, this time included.
        sent_ms: When it was sent to the queue, milliseconds since 1970 by SQS's clock.
        first_received_ms: When it was first delivered, likewise.
        trace_header: The trace that AWS recorded with it, in X-Ray's format.
    """

    message_id: str
    receipt: str
    body: str
    deliveries: int
    sent_ms: int
    first_received_ms: int
    trace_header: str | None = None


class Queue(Protocol):
    """The runtime's queue. Its methods raise PlatformError when a call fails."""

    @property
    def visibility_s(self) -> int:
        """How long a delivered message stays hidden from other agents."""

    async def receive(self, max_messages: int = 1) -> list[QueueMessage]:
        """Wait up to 20 s for a message; for several, where a job is running, up to 1 s.

        A message that arrives later may be wanted by an idle agent.
        """

    async def extend(self, message: QueueMessage) -> None:
        """Keep a message hidden for another ``visibility_s``."""

    async def release(self, message: QueueMessage, delay_s: int = 0) -> None:
        """Let a message go back to the queue, within 5 s; it is delivered again after the delay."""

    async def delete(self, message: QueueMessage) -> None:
        """Delete a message that is done."""

    async def dead_letter(self, message: QueueMessage, code: str, reason: str) -> None:
        """Move a message to the dead queue, with the reason as attributes.

        Without a dead queue the message stays where it is: none is ever dropped.
        """


class Jobs(Protocol):
    """Who has which job, and what became of it."""

    async def claim(
        self, task: Task, job: str, message: QueueMessage, *, lease_s: float, start_s: float
    ) -> Claim | ClaimDenied | AlreadyFinished:
        """Claim a job for ``lease_s``; should this agent vanish, it may wait ``start_s`` for another."""

    async def renew(self, job: str, claim: Claim, *, lease_s: float, attempts: int, progress: float | None) -> bool:
        """Keep a job for another ``lease_s``; returns whether it must be cancelled.

        Raises:
            LeaseLost: It is this agent's no longer.
        """

    async def release(self, job: str, claim: Claim, *, attempts: int, blameless: bool, start_s: float) -> None:
        """Release a job; another agent may claim it at once and should within ``start_s``."""

    async def complete(
        self, job: str, claim: Claim, notice: Notice, *, attempts: int, stages_s: Mapping[str, float]
    ) -> None:
        """Write how a job has ended; only then is its notice sent.

        Raises:
            LeaseLost: It is this agent's no longer; the agent that has it now ends it.
        """

    async def notified(self, job: str) -> None:
        """Write that its notice was sent."""


class ObjectStore(Protocol):
    """S3. Its methods raise PlatformError when a call fails."""

    async def put(self, bucket: str, key: str, data: bytes, content_type: str, *, tenant: str | None = None) -> None:
        """Write an object, marked as a tenant's if one is named."""

    async def put_stream(
        self, bucket: str, key: str, chunks: AsyncIterator[bytes], content_type: str, *, tenant: str | None = None
    ) -> int:
        """Write an object while it is read, with at most two parts of it in memory; returns its size in bytes.

        An object whose reading or writing fails or is cancelled is not written.
        """

    async def get(self, bucket: str, key: str, max_bytes: int, *, tenant: str | None = None) -> bytes | None:
        """Read an object; None when there is none.

        Args:
            bucket: The bucket.
            key: The object's key.
            max_bytes: The largest object that is read.
            tenant: The tenant it must be marked with; None reads any object.

        Raises:
            InputError: It is larger than ``max_bytes``, not the tenant's, may not be read, or S3 rejects its name.
        """


class Notices(Protocol):
    """The topic of completion notices."""

    async def publish(self, notice: Notice) -> None:
        """Send a notice to all subscribers."""


class TaskInputs(Protocol):
    """Reads the inputs of all tasks."""

    async def fetch(self, inputs: Sequence["Input"], tenant: str | None) -> dict[str, Media]:
        """Read the inputs of a tenant's task, as ``Inputs`` does."""


class Inputs(Protocol):
    """Reads the inputs of one task: what its links point to, and files in the task itself."""

    async def fetch(self, inputs: Sequence["Input"]) -> dict[str, Media]:
        """Read all inputs, each once; by text. Texts that are left to the model server are not in it.

        Raises:
            InputError: Inputs could not be read, or their fields do not accept them; it lists them all.
        """


@dataclass(frozen=True, slots=True)
class Input:
    """A text in a task that stands for a file.

    Attributes:
        text: A link, a data URL, or base64.
        field: The path of its field, for messages.
        kinds: What the field accepts: image, video, audio; empty where it accepts any file.
        is_strict: Whether its field is for files alone, so that other texts are rejected.
    """

    text: str
    field: str
    kinds: tuple[str, ...] = ("image",)
    is_strict: bool = True

    @property
    def wanted(self) -> str:
        """What the field accepts, for messages."""
        return " or ".join(self.kinds) or "file"

    def takes(self, media: Media) -> bool:
        """Whether the field accepts the file."""
        return not self.kinds or media.kind in self.kinds


@dataclass(frozen=True, slots=True)
class Output:
    """One file of a job's result.

    Attributes:
        content: Its bytes; or, where the model server has them, a function that reads them from the start each time.
            Reading raises ServerError when the server fails.
        seed: The seed it was drawn with, where the model server reports it.
        filename: Its name on the model server, if it has one: bytes under a picture's name must be a picture.
    """

    content: bytes | Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
    seed: int | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a job.

    Attributes:
        outputs: The files, in order.
        parameters: What the job was run with, after all defaults.
        answer: The rest of the model server's answer.
        model: The checkpoint that was loaded, where there is one.
    """

    outputs: list[Output]
    parameters: dict[str, Any]
    answer: dict[str, Any] = field(default_factory=dict)
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """How much a job has to do.

    Attributes:
        kind: Jobs of one kind take the same time per unit.
        units: Sampling steps, or 1 where there are none; clamped to MAX_UNITS.
        together: How many such jobs the server runs together; 1 where each runs alone.
        last_call: The part of its time that is left when the server decides what to run next: a job that comes later
            may wait longer, or run alone.
    """

    kind: str
    units: float
    together: int = 1
    last_call: float = 0

    def __post_init__(self) -> None:
        """Clamp the units."""
        object.__setattr__(self, "units", units_of(self.units))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many jobs a model server can have.

    Attributes:
        devices: GPUs, each of which runs jobs of its own.
        batch: How many small jobs a device runs together.
        ahead: Whether it accepts the next jobs while it is busy, because it can withdraw a waiting one by its id.
    """

    devices: int = 1
    batch: int = 1
    ahead: bool = False

    @property
    def places(self) -> int:
        """How many jobs it may have at once: those that all devices run, and those that one of them runs next."""
        return max(1, (self.devices + self.ahead) * self.batch)


MAX_UNITS = 1e6
"""More than any job has; larger counts are reduced to it."""


def units_of(count: object, default: float = 1.0) -> float:
    """A count from a task, limited to 1 to MAX_UNITS; ``default`` where it is no number."""
    try:
        units = float(count)  # type: ignore[arg-type]
    except OverflowError:
        return MAX_UNITS
    except (TypeError, ValueError):
        return default
    return default if math.isnan(units) else min(max(units, 1.0), MAX_UNITS)


class Started(Protocol):
    """Called when the server begins with a job."""

    def __call__(self, batch: int | None = None) -> None:
        """Note it; ``batch`` is the number of those that run together, None for a job that runs alone."""


@dataclass(frozen=True, slots=True)
class RunSignals:
    """What a driver calls while it runs a job.

    Attributes:
        started: To call when the server begins with the job.
        freed: To call as soon as the server can begin with the next one, while the result may still be fetched.
    """

    started: Started
    freed: Callable[[], None]


class PreparedTask(Protocol):
    """A task that can run now, links replaced by files; everything else in it is the driver's own."""

    @property
    def work(self) -> Work:
        """How much it has to do."""


class Executor(ABC):
    """Runs the tasks of one runtime type. Every driver is one."""

    @abstractmethod
    async def prepare(self, task: Task, inputs: Inputs) -> PreparedTask:
        """Make a task ready to run, inputs included; needs no GPU.

        Raises:
            TaskError: The task cannot be run.
            RetryableError: It may be possible later.
        """

    @abstractmethod
    async def run(self, prepared: Any, job: str, claim: int, signals: RunSignals) -> Result:
        """Run a prepared task to its end, or adopt what an earlier claim of the same job left running.

        Args:
            prepared: What ``prepare`` returned.
            job: The job.
            claim: The number of the claim it runs under.
            signals: Called meanwhile.

        Raises:
            TaskError: The server rejects the task or fails in it.
            ServerError: The server is lost or its response cannot be understood.
            Throttled: The service takes no more work now; costs no attempt.
        """

    @abstractmethod
    async def interrupt(self, job: str, claim: int) -> None:
        """Stop a job that ``run`` no longer waits for, or withdraw it if it has not begun.

        Raises:
            ServerError: The server does not answer.
        """

    def discard(self, prepared: Any, *, over: bool) -> None:  # noqa: B027 (most drivers leave nothing)
        """Begin to remove what a job left on the server, if the driver leaves anything there.

        Args:
            prepared: What ``prepare`` returned.
            over: Whether the job is over; if not, its next claim may adopt its results.
        """

    async def aclose(self) -> None:  # noqa: B027 (some have none)
        """Close connections, if the driver has any."""


class Supervised(ABC):
    """A server beside the agent, which can be loading, lost or hung; what its driver is besides an ``Executor``."""

    @property
    @abstractmethod
    def capacity(self) -> Capacity:
        """How many jobs the server can have; reliable once it has been ready."""

    @abstractmethod
    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs."""

    @abstractmethod
    async def clear(self) -> None:
        """Remove from the server what an earlier agent left there and nobody can adopt.

        Raises:
            ServerError: The server does not answer.
        """

    @abstractmethod
    async def liveness_token(self) -> object:
        """A value that changes while the server works on a job: one that stays equal for too long means that it hangs.

        Raises:
            ServerLoading: The server is alive and loads its model.
            ServerError: The server does not answer.
        """

    @abstractmethod
    async def progress(self, job: str) -> float | None:
        """How far a running job is, from 0 to 1; None where that is unknown.

        Never raises: a job must not fail because its progress is unknown.
        """


class Telemetry(Protocol):
    """Traces and metrics of the agent's work; nothing here waits or raises."""

    def message(self, *, trace_header: str | None, traceparent: str | None) -> AbstractContextManager[None]:
        """The span of one message, for as long as the context lasts.

        Args:
            trace_header: SQS's AWSTraceHeader, in the format of X-Ray.
            traceparent: The W3C's header.

        It continues the first sampled one, else the first valid one, else begins a trace.
        """

    def annotate(self, **attributes: str | int) -> None:
        """Add attributes to the current message's span."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """The span of one stage within the current one, and a measurement of its seconds.

        An exception marks the span and the measurement with an AgentError's code or its type, never with its message.
        """

    def job_ended(self, outcome: str, error_code: str | None = None) -> None:
        """Count a job that has ended; ``error_code`` says why it failed."""

    def retried(self, error_code: str) -> None:
        """Count a message that is released after an error, and mark its span as failed."""

    def queue_age(self, seconds: float) -> None:
        """Note how long a message was in the queue before it was received."""

    def gpu_began(self, job: str) -> None:
        """Note that the model server begins with a job."""

    def gpu_ended(self, job: str) -> None:
        """Note that a job has left the model server; ignored if the server had not begun with it."""

    async def page(self) -> tuple[int, str, bytes]:
        """The metrics as Prometheus reads them: status, Content-Type, body."""
