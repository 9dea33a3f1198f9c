"""What a test can make the stand-in do wrong, and the board that holds it while the server runs."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, get_args, get_type_hints

LIES = ("", "garbage", "half", "empty", "success")
LOOK_S = 0.05
"""How often a job that is held looks whether it may go on."""


def _fault(default: Any, meaning: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": meaning, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class Faults:
    """One setting per way to misbehave; the defaults misbehave in none."""

    step_s: float = _fault(0.0, "seconds that one sampling step takes")
    job_s: float = _fault(0.0, "seconds that a job takes on top of its steps, spread over them")
    fail_jobs: int = _fault(0, "how many of the next jobs fail with a plain error")
    oom_jobs: int = _fault(0, "how many of the next jobs fail for want of GPU memory")
    hang_jobs: int = _fault(0, "how many of the next jobs never end")
    hold_at_step: int = _fault(0, "jobs wait before this sampling step until it is lifted or they are stopped; 0: none")
    die: str = _fault("", "end the process without a word at this moment of the next job", ("", "start", "middle"))
    lie: str = _fault("", "answer 200 with garbage, half a body, no pictures ('empty') or false ones ('success')", LIES)
    lie_path: str = _fault("", "for garbage and half: the paths that contain this; empty: those that take jobs")
    drop_socket_after: str = _fault("", "ComfyUI: cut a websocket after it got an event of this type")
    mute_events: tuple[str, ...] = _fault((), "ComfyUI: types of events that are never sent ('binary' for pictures)")
    previews: bool = _fault(default=False, meaning="ComfyUI: send a picture at each sampling step")
    load_s: float = _fault(0.0, "seconds, from when it is set, in which everything is answered with 503")
    refuse_s: float = _fault(0.0, "seconds, from when it is set, in which connections are refused")

    def merged(self, change: dict[str, Any]) -> "Faults":
        """Return these faults with the named ones changed.

        Raises:
            ValueError: A name is unknown or a value has another type than the field.
        """
        hints = get_type_hints(Faults)
        for name, value in change.items():
            if name not in hints:
                raise ValueError(f"there is no fault {name!r}")
            if not _fits(value, hints[name]) or value not in (fault_choices()[name] or (value,)):
                raise ValueError(f"fault {name!r} cannot be {value!r}")
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in change.items()
        }
        return replace(self, **plain)

    def as_json(self) -> dict[str, Any]:
        """Return every fault by name."""
        return asdict(self)


def _fits(value: object, hint: Any) -> bool:
    if get_args(hint):
        return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def fault_help() -> dict[str, str]:
    """Return the one-line meaning of each fault by name."""
    return {one.name: str(one.metadata["help"]) for one in fields(Faults)}


def fault_choices() -> dict[str, tuple[str, ...]]:
    """Return the values that each fault may have by name, empty where any of its type will do."""
    return {one.name: one.metadata["choices"] for one in fields(Faults)}


class JobError(Exception):
    """The stand-in was told to fail this job."""


class OutOfMemoryError(JobError):
    """The stand-in was told that the GPU has no memory left for this job."""


OUT_OF_MEMORY_WORDS = (
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 14.58 GiB of which 1.12 GiB is free."
)


class FaultBoard:
    """The faults in force; counted ones are used up job by job."""

    def __init__(self, faults: Faults) -> None:
        self.now = faults
        self._watchers: list[Callable[[dict[str, Any]], None]] = []
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Let no job hang any more, as the process is to end."""
        self._stopped.set()

    def watch(self, watcher: Callable[[dict[str, Any]], None]) -> None:
        """Call the watcher with each change, after it is in force."""
        self._watchers.append(watcher)

    def change(self, change: dict[str, Any]) -> None:
        """Put the named faults in force.

        Raises:
            ValueError: A name is unknown or a value has the wrong type.
        """
        self.now = self.now.merged(change)
        for watcher in self._watchers:
            watcher(change)

    async def meet_job(self) -> None:
        """Let a job that begins now meet its fate: die, hang or fail, in this order.

        Raises:
            JobError: The job is to fail, or hung until the process was to end.
            OutOfMemoryError: It is to fail for want of memory.
        """
        self.die_if("start")
        if self._take("hang_jobs"):
            await self._stopped.wait()
            raise JobError("the stand-in is stopped")
        if self._take("oom_jobs"):
            raise OutOfMemoryError(OUT_OF_MEMORY_WORDS)
        if self._take("fail_jobs"):
            raise JobError("the stand-in was told to fail this job")

    def holds(self, step: int) -> bool:
        """Tell whether a job is to wait before this step; the first is 1."""
        return step == self.now.hold_at_step and not self._stopped.is_set()

    def die_if(self, moment: str) -> None:
        """End the process at once, without clean-up, if it is to die at this moment."""
        if self.now.die == moment:
            os._exit(1)

    def _take(self, counter: str) -> bool:
        left: int = getattr(self.now, counter)
        if left > 0:
            self.change({counter: left - 1})
        return left > 0
