"""What is known of one job while the server has it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from queue_agent.ports import RunSignals
from runtimes.flux.driver.events import Event


@dataclass(frozen=True, slots=True)
class _Step:
    """The last step: how far the job was after it, when that was told, and its own part of the job."""

    done: float
    told_s: float
    share: float


class JobWatch:
    """Notes what the server tells of a job, and passes on when it begins and when the GPU is free of it.

    Args:
        signals: Whom to tell; each once, in order, whatever was missed.
        clock: Monotonic seconds.

    Attributes:
        told: Events so far.
    """

    def __init__(self, signals: RunSignals, clock: Callable[[], float] = time.monotonic) -> None:
        self.told = 0
        self._signals = signals
        self._clock = clock
        self._began_s: float | None = None
        self._freed = False
        self._step: _Step | None = None

    @property
    def is_running(self) -> bool:
        """Whether the GPU works on it."""
        return self._began_s is not None and not self._freed

    @property
    def fraction(self) -> float | None:
        """How far the job is, from 0 to 1; None before its first step. Within a step it goes on as fast as before."""
        if self._step is None or self._began_s is None:
            return None
        step, taken_s = self._step, self._step.told_s - self._began_s
        pace = step.done / taken_s if taken_s > 0 else 0.0
        return min(step.done + min(step.share, pace * (self._clock() - step.told_s)), 1.0)

    def heed(self, event: Event) -> None:
        """Note an event."""
        self.told += 1
        data = event.data if isinstance(event.data, dict) else {}
        self._note_progress(data.get("progress"))
        self.note_state(data.get("state"), data.get("batch"))
        if event.kind == "freed":
            self.free()

    def note_state(self, state: Any, batch: Any) -> None:
        """Note the state and the batch that the job is said to be in; a cancelled one may never have had the GPU."""
        if state == "running":
            self._begin(batch)
        elif state in ("encoding", "succeeded", "failed"):
            self.free()

    def free(self) -> None:
        """Note that the GPU is done with it."""
        self._begin(None)
        if not self._freed:
            self._freed = True
            self._signals.freed()

    def _begin(self, batch: Any) -> None:
        if self._began_s is None:
            self._began_s = self._clock()
            self._signals.started(batch if isinstance(batch, int) else None)

    def _note_progress(self, fraction: Any) -> None:
        """A job whose worker was lost begins again at 0."""
        if not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
            return
        before = self._step.done if self._step else 0.0
        if fraction == 0:
            self._step = None
        elif fraction != before:
            self._step = _Step(fraction, self._clock(), fraction - before)
