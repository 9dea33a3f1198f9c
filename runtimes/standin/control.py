"""A stand-in's state, and what a test can change and read while it runs."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from runtimes.standin.faults import OUT_OF_MEMORY_WORDS, Faults, InjectedError, NoMemoryError
from runtimes.standin.painter import Painter

DEFAULT_MODELS = ("v1-5-pruned-emaonly.safetensors",)


@dataclass(kw_only=True)
class RanJob:
    """One run: its id, its kind, when it ran (Unix time in seconds) and how it ended."""

    id: str
    kind: str
    start: float = field(default_factory=time.time)
    end: float | None = None
    outcome: str = "running"

    def close(self, outcome: str) -> None:
        """Record the end; a closed job keeps its first outcome."""
        if self.end is None:
            self.end = time.time()
            self.outcome = outcome


class Control:
    """The models, the painter and the faults of a server, and its jobs in order of their start."""

    def __init__(
        self, models: tuple[str, ...] = DEFAULT_MODELS, painter: Painter | None = None, faults: Faults | None = None
    ) -> None:
        self.models = models
        self.painter = painter or Painter()
        self.faults = faults or Faults()
        self.jobs: list[RanJob] = []
        self._loaded_at = time.monotonic() + self.faults.load_s
        self._stopped = asyncio.Event()

    @property
    def is_loading(self) -> bool:
        """Whether the server is still loading its model."""
        return time.monotonic() < self._loaded_at

    def change(self, change: dict[str, Any]) -> None:
        """Set the named faults.

        Raises:
            ValueError: A name is unknown or a value has the wrong type.
        """
        try:
            self.faults = Faults.model_validate({**self.faults.model_dump(), **change})
        except ValidationError as exc:
            raise ValueError(str(exc)) from exc
        if "load_s" in change:
            self._loaded_at = time.monotonic() + self.faults.load_s

    def stop(self) -> None:
        """End hung and held jobs because the process stops."""
        self._stopped.set()

    async def meet_job(self) -> None:
        """Make the starting job hang or fail if a fault is due, in this order.

        Raises:
            InjectedError: The job fails, or hung until the process stopped.
            NoMemoryError: It runs out of memory.
        """
        if self.take("hang_jobs"):
            await self._stopped.wait()
            raise InjectedError("the stand-in is stopped")
        if self.take("oom_jobs"):
            raise NoMemoryError(OUT_OF_MEMORY_WORDS)
        if self.take("fail_jobs"):
            raise InjectedError("a fault in force fails this job")

    def holds(self, step: int) -> bool:
        """Whether a job waits before this step; the first is 1."""
        return step == self.faults.hold_at_step and not self._stopped.is_set()

    def open_job(self, job_id: str, kind: str) -> RanJob:
        """Record the start of a job."""
        self.jobs.append(RanJob(id=job_id, kind=kind))
        return self.jobs[-1]

    def take(self, counter: str) -> bool:
        """Count a fault down; returns whether it was due."""
        left: int = getattr(self.faults, counter)
        if left > 0:
            self.change({counter: left - 1})
        return left > 0
