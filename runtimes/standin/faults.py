"""What a test can make the stand-in do wrong, and the board that holds it while the server runs."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

LOOK_S = 0.05
"""How often a job that is held looks whether it may go on."""

OUT_OF_MEMORY_WORDS = (
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 14.58 GiB of which 1.12 GiB is free."
)


class Faults(BaseModel):
    """One setting per way to misbehave; the defaults misbehave in none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    step_s: float = 0.0
    """seconds that one sampling step takes"""
    job_s: float = 0.0
    """seconds that a job takes on top of its steps, spread over them"""
    fail_jobs: int = 0
    """how many of the next jobs fail with a plain error"""
    oom_jobs: int = 0
    """how many of the next jobs fail for want of GPU memory"""
    hang_jobs: int = 0
    """how many of the next jobs never end"""
    hold_at_step: int = 0
    """jobs wait before this sampling step until it is lifted or they are stopped; 0: none"""
    lie: Literal["", "garbage"] = ""
    """answer 200 with garbage"""
    lie_path: str = ""
    """the paths that contain this are answered so; empty: those that take jobs"""
    drop_socket_after: str = ""
    """ComfyUI: cut a websocket after it got an event of this type"""
    mute_events: list[str] = []
    """ComfyUI: types of events that are never sent ('binary' for pictures)"""
    previews: bool = False
    """ComfyUI: send a picture at each sampling step"""
    load_s: float = 0.0
    """seconds, from when it is set, in which everything is answered with 503"""


class InjectedError(Exception):
    """The stand-in was told to fail this job."""


class NoMemoryError(InjectedError):
    """The stand-in was told that the GPU has no memory left for this job."""


class FaultBoard:
    """The faults in force; counted ones are used up job by job."""

    def __init__(self, faults: Faults) -> None:
        self.now = faults
        self._watchers: list[Callable[[dict[str, Any]], None]] = []
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End all hung jobs, because the process stops."""
        self._stopped.set()

    def watch(self, watcher: Callable[[dict[str, Any]], None]) -> None:
        """Call the watcher with each change, after it is in force."""
        self._watchers.append(watcher)

    def change(self, change: dict[str, Any]) -> None:
        """Put the named faults in force.

        Raises:
            ValueError: A name is unknown or a value has the wrong type.
        """
        try:
            self.now = Faults.model_validate({**self.now.model_dump(), **change})
        except ValidationError as exc:
            raise ValueError(str(exc)) from exc
        for watcher in self._watchers:
            watcher(change)

    async def meet_job(self) -> None:
        """Make a job that begins now hang or fail if it is due, in this order.

        Raises:
            InjectedError: The job is to fail, or hung until the process was to end.
            NoMemoryError: It is to fail for want of memory.
        """
        if self._take("hang_jobs"):
            await self._stopped.wait()
            raise InjectedError("the stand-in is stopped")
        if self._take("oom_jobs"):
            raise NoMemoryError(OUT_OF_MEMORY_WORDS)
        if self._take("fail_jobs"):
            raise InjectedError("the stand-in was told to fail this job")

    def holds(self, step: int) -> bool:
        """Whether a job waits before this step; the first is 1."""
        return step == self.now.hold_at_step and not self._stopped.is_set()

    def _take(self, counter: str) -> bool:
        left: int = getattr(self.now, counter)
        if left > 0:
            self.change({counter: left - 1})
        return left > 0
