"""Keeps one worker alive: starts it, kills it when it hangs, starts it again after its death."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from runtimes.flux.server.messages import Assignment, Freed, FromWorker, GivenUp, Ready, ToWorker
from runtimes.flux.server.ports import Device
from runtimes.flux.server.process import WorkerProcess

_MAX_FAILED_STARTS = 5
_MAX_DELAY_S = 60.0
_PATIENCE = 3
"""Times the longest silence of this life: a step like those that were seen may take longer once. For larger pictures
nothing can be learnt from it; as they may be the first of a life, the limit itself must allow for them."""
_log = logging.getLogger(__name__)


class WorkerState(StrEnum):
    """What a worker is doing."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a worker may show no sign of life: while it loads the model, and while it has work."""

    start_s: float
    step_s: float


class Supervisor:
    """Answers for one worker.

    Args:
        assignment: What the worker is told.
        limits: When it counts as hung.
        heard: Called with each of its messages.
        lost: Called with the reason after its death.

    Attributes:
        device: What it last said of its GPU.
        restarts: How often it was started again.
        loss: What it died of; None once it is ready again.
        given_up: Whether it will not come back.
    """

    def __init__(
        self,
        assignment: Assignment,
        limits: Limits,
        heard: "Callable[[Supervisor, FromWorker], None]",
        lost: "Callable[[Supervisor, str], None]",
    ) -> None:
        self.number = assignment.device
        self.device: Device | None = None
        self.restarts = 0
        self.loss: str | None = None
        self.given_up = False
        self._assignment = assignment
        self._limits = limits
        self._heard = heard
        self._lost = lost
        self._process: WorkerProcess | None = None
        self._ready = False
        self._has_work = False
        self._last_words: GivenUp | None = None
        self._hung: str | None = None
        self._longest_silence_s = 0.0
        self._fruitless_lives = 0
        self._failed_starts = 0
        self._watch = _Watch(self._kill)

    @property
    def state(self) -> WorkerState:
        """What the worker is doing."""
        if self._process is None:
            return WorkerState.DOWN
        if not self._ready:
            return WorkerState.STARTING
        return WorkerState.BUSY if self._has_work else WorkerState.READY

    def send(self, message: ToWorker) -> None:
        """Tell the worker."""
        if self._process is not None:
            self._process.send(message)

    def expect(self, work: bool) -> None:
        """Say whether the worker has work, and so owes signs of life."""
        # More work is no sign of life.
        if work is not self._has_work:
            self._has_work = work
            self._watch.set(self._limit_s)

    async def run(self) -> None:
        """Keep the worker alive until it gives up for good, or this is cancelled; then it is dead."""
        while True:
            reason = await self._live()
            _log.warning("a worker is lost", extra={"worker": self.number, "reason": reason})
            self.loss, self.given_up = reason, self._is_hopeless()
            self._lost(self, reason)
            if self.given_up:
                return
            await asyncio.sleep(self._delay_s)
            self.restarts += 1

    async def _live(self) -> str:
        """One life of the worker, from its start to its death; returns what it died of."""
        self._ready, self._last_words, self._hung, self._longest_silence_s = False, None, None, 0.0
        process = self._process = await WorkerProcess.start(self._assignment)
        self._watch.set(self._limit_s)
        self._fruitless_lives += 1
        try:
            while (message := await process.next_message()) is not None:
                self._hear(message)
        finally:
            self._process, self._has_work = None, False
            self._watch.set(self._limit_s)
            process.kill()
            end = await process.buried()
        return self._hung or (self._last_words.reason if self._last_words else f"the worker {end}")

    def _hear(self, message: FromWorker) -> None:
        if self.state is WorkerState.BUSY:
            self._longest_silence_s = max(self._longest_silence_s, self._watch.silence_s)
        match message:
            case Ready():
                self._ready, self._failed_starts = True, 0
                self.device, self.loss = message.device, None
                _log.info("a worker is ready", extra={"worker": self.number, "device": message.device.name})
            case Freed():
                self.device, self._fruitless_lives = message.device, 0
            case GivenUp():
                self._last_words = message
                return
        self._heard(self, message)
        self._watch.set(self._limit_s)

    def _is_hopeless(self) -> bool:
        """Whether another start would end the same way."""
        self._failed_starts += not self._ready
        refused = self._last_words is not None and self._last_words.for_good
        return refused or self._failed_starts >= _MAX_FAILED_STARTS

    @property
    def _delay_s(self) -> float:
        """Before the next start: none after a life that bore fruit, else 0.5 s, 1 s, 2 s … up to a minute."""
        return min(_MAX_DELAY_S, 2.0 ** (self._fruitless_lives - 2)) if self._fruitless_lives else 0.0

    @property
    def _limit_s(self) -> float | None:
        """How long the worker may be silent from now on; None where it owes nothing."""
        match self.state:
            case WorkerState.STARTING:
                return self._limits.start_s
            case WorkerState.BUSY:
                return max(self._limits.step_s, _PATIENCE * self._longest_silence_s)
            case _:
                return None

    def _kill(self, after_s: float) -> None:
        self._hung = f"the worker showed no sign of life for {after_s:.0f} s and was ended"
        if self._process is not None:
            self._process.kill()


class _Watch:
    """Calls with the limit if it is not set anew within it.

    Args:
        call: Given the limit in seconds.
    """

    def __init__(self, call: Callable[[float], None]) -> None:
        self._call = call
        self._set_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, limit_s: float | None) -> None:
        """Begin anew; without a limit nothing is called."""
        if self._timer is not None:
            self._timer.cancel()
        self._set_at = time.monotonic()
        loop = asyncio.get_running_loop()
        self._timer = None if limit_s is None else loop.call_later(limit_s, self._call, limit_s)

    @property
    def silence_s(self) -> float:
        """How long ago it was set."""
        return time.monotonic() - self._set_at
