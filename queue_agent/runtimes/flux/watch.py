"""What is known of one job while the server has it."""

from typing import Any

from queue_agent.ports import RunSignals
from queue_agent.runtimes.flux.events import Event


class JobWatch:
    """Notes what the server tells of a job, and passes on when it begins and when the GPU is free of it.

    Args:
        signals: Whom to tell; each once, in order, whatever was missed.

    Attributes:
        told: Events so far.
        fraction: How far the job is, from 0 to 1; None before its first step.
    """

    def __init__(self, signals: RunSignals) -> None:
        self.told = 0
        self.fraction: float | None = None
        self._signals = signals
        self._begun = False
        self._freed = False

    @property
    def is_running(self) -> bool:
        """Whether the GPU works on it."""
        return self._begun and not self._freed

    def heed(self, event: Event) -> None:
        """Note an event."""
        self.told += 1
        data = event.data if isinstance(event.data, dict) else {}
        self._note_progress(data.get("progress"))
        self.note_state(data.get("state"))
        if event.kind == "freed":
            self.free()

    def note_state(self, state: Any) -> None:
        """Note the state that the job is said to be in; a cancelled one may never have had the GPU."""
        if state == "running":
            self._begin()
        elif state in ("encoding", "succeeded", "failed"):
            self.free()

    def free(self) -> None:
        """Note that the GPU is done with it."""
        self._begin()
        if not self._freed:
            self._freed = True
            self._signals.freed()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._signals.started()

    def _note_progress(self, fraction: Any) -> None:
        """A job whose worker was lost begins again at 0."""
        if isinstance(fraction, int | float) and 0 <= fraction <= 1:
            self.fraction = fraction or None
