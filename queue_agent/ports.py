"""The interface between the agent and its drivers: what a driver implements, what it gets, and what it returns."""

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract.task import Task
from jobs.job import Progress
from queue_agent.media import Media
from runtimes.live import LiveCatalog

MAX_PREVIEW_BYTES = 2 * 1024 * 1024
MAX_UNITS = 1e6
"""More than any job has; larger counts are reduced to it."""


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


class Inputs(Protocol):
    """Reads the inputs of one task: what its links point to, and files in the task itself."""

    async def fetch(self, inputs: Sequence[Input]) -> dict[str, Media]:
        """Read all inputs, each once; by text. Texts that are left to the model server are not in it.

        Raises:
            InputError: Inputs could not be read, or their fields do not accept them; it lists them all.
        """


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


def units_of(count: object, default: float = 1.0) -> float:
    """A count from a task, limited to 1 to MAX_UNITS; ``default`` where it is no number."""
    try:
        units = float(count)  # type: ignore[arg-type]
    except OverflowError:
        return MAX_UNITS
    except (TypeError, ValueError):
        return default
    return default if math.isnan(units) else min(max(units, 1.0), MAX_UNITS)


def progress_of(
    fraction: Any = None, *, step: Any = None, steps: Any = None, stage: str | None = None
) -> Progress | None:
    """How far a job is by what its server says; what makes no sense is left out, and None where nothing is left."""
    if not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
        fraction = None
    if not isinstance(step, int) or not isinstance(steps, int) or not 0 <= step <= steps <= MAX_UNITS or not steps:
        step = steps = None
    progress = Progress(fraction=fraction, step=step, steps=steps, stage=stage)
    return progress if progress.written() else None


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
    """Runs the tasks of one runtime type. Every driver is one.

    Attributes:
        queue_s: How long a service may keep a job before it begins with it, in seconds: so much later does the job
            exceed its execution deadline.
    """

    queue_s: float = 0

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

        Raises:
            TaskError: The server rejects the task or fails in it.
            ServerError: The server is lost or its response cannot be understood.
            Throttled: The service takes no more work now; costs no attempt.
            StillRunning: The service works on it by itself, and the agent is to look again later.
        """

    @abstractmethod
    async def interrupt(self, job: str, claim: int) -> None:
        """Stop a job that ``run`` no longer waits for, or withdraw it if it has not begun.

        Raises:
            ServerError: The server does not answer.
        """

    def discard(self, prepared: Any, *, over: bool) -> None:  # noqa: B027 (most drivers leave nothing)
        """Begin to remove what a job left on the server; if it is not over, its next claim may adopt its results."""

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
    async def progress(self, job: str) -> Progress | None:
        """How far a running job is; None where that is unknown.

        Never raises: a job must not fail because its progress is unknown.
        """

    async def preview(self, job: str) -> bytes | None:  # noqa: ARG002 (an override's)
        """The latest picture of how far a running job is, at most MAX_PREVIEW_BYTES; None without one.

        Raises:
            ServerError: The server does not answer.
        """
        return None

    async def catalog(self) -> LiveCatalog | None:
        """What the server has: models, samplers, node classes; None where it does not say.

        Raises:
            ServerError: The server does not answer.
        """
        return None
