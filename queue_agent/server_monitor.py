"""Watches the model server: whether it answers, and whether the jobs it was given move."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from queue_agent.errors import ServerError, ServerLoading

logger = logging.getLogger(__name__)

_LOST_S = 20.0
_PROBE_TIMEOUT_S = 5.0
_IDLE_INTERVALS = 5
_SUSPICIOUS_FORECASTS = 3
_SUSPICIOUS_S = 30.0
"""A job that has not moved for three times its forecast, and so long at least, is worth a warning."""


class State(StrEnum):
    """How the model server is. Lost: away for too long. Hung: there, and runs nothing. Loading: there, and cannot."""

    ALIVE = "alive"
    LOADING = "loading"
    AWAY = "away"
    LOST = "lost"
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of the model server, and why; the reason is for people."""

    state: State
    reason: str

    @property
    def alive(self) -> bool:
        """Whether a restart would not help."""
        return self.state in {State.ALIVE, State.LOADING}


class ServerMonitor:
    """Decides whether the model server is alive, from probes and from what the pipeline notes of its jobs.

    A server is lost after 20 s without an answer, counted from the first probe that failed and found by one that fails
    again: an agent that was itself frozen accuses nobody. One that loads its model again is of as little use meanwhile,
    but alive: a restart would begin anew. A hung one stays hung, with or without jobs, until one of its jobs moves or
    it has been away and is back.

    Args:
        probe: Asks the server; cut off after 5 s. Any error counts as no answer, but ServerLoading says that the
            server is alive all the same. What it returns is a sign of life: whenever it differs from the
            last, the server works, or is another one after a restart.
        stall_s: Seconds without movement of any job after which a server that holds one is hung.
        url: Where the server is, for messages.
        interval_s: Seconds between probes while a still job is held or the server is not alive; else five times that.
        clock: Monotonic seconds.

    Attributes:
        lost: Set while nothing can be run on the server: it is lost or hung.
        usable: Set while ``lost`` is not.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[object]],
        *,
        stall_s: float,
        url: str = "",
        interval_s: float = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lost = asyncio.Event()
        self.usable = asyncio.Event()
        self.usable.set()
        self._probe = probe
        self._stall_s = stall_s
        self._interval_s = interval_s
        self._clock = clock
        self._name = f"model server at {url}" if url else "model server"
        self._stall_limits_s: dict[str, float] = {}
        self._forecasts_s: dict[str, float] = {}
        self._suspected = False
        self._hung_jobs = ""
        self._still_since_s: float | None = None
        self._still_before_s = 0.0
        self._hung = False
        self._failing_since_s: float | None = None
        self._failure = ""
        self._was_refused = False
        self._loading = False
        self._seen_s = clock()
        self._sign: object = None
        self._told = State.ALIVE
        self._woken = asyncio.Event()

    def job_started(self, job: str, *, stall_s: float | None = None) -> None:
        """Note that the server is about to get a job.

        A ``stall_s`` of its own takes the place of the watch's; of several jobs held the most patient one counts.
        """
        self._stall_limits_s[job] = self._stall_s if stall_s is None else stall_s
        if self._still_since_s is None:
            # Stillness under a job that was given up goes on under the next one: a dead server must not seem young.
            self._still_since_s = self._clock() - self._still_before_s
            self._woken.set()

    def job_began(self, job: str, forecast_s: float | None) -> None:
        """Note that the server runs a job, and how long it should take; None where nothing is known."""
        if forecast_s is not None and job in self._stall_limits_s:
            self._forecasts_s[job] = forecast_s

    def job_moved(self, job: str) -> None:
        """Note a sign that the server works on a job, beyond a mere answer; ignored of a job not held."""
        if job in self._stall_limits_s:
            self._seen_s = self._clock()
            self._failing_since_s = None
            self._forget_stillness()
            self._settle()

    def job_ended(self, job: str, *, answered: bool) -> None:
        """Note that the server holds a job no longer; ignored if it was not held.

        ``answered``: whether the server was seen to end it, be it as failed or interrupted; not when the agent gave it
        up, for even with a dead worker thread a job can be taken out of the queue.
        """
        if answered:
            self.job_moved(job)
        self._stall_limits_s.pop(job, None)
        self._forecasts_s.pop(job, None)
        if not self._stall_limits_s:
            self._still_before_s = self._still_s()
            self._still_since_s = None

    def verdict(self) -> Verdict:
        """What is thought of the server now; asks nobody."""
        if self._failing_since_s is not None:
            away_s = self._clock() - self._failing_since_s
            return Verdict(self._state(), f"No good answer for {away_s:.0f} s: {self._failure}")
        if self._hung:
            return Verdict(
                State.HUNG, f"The {self._name} hangs ({self._hung_jobs}, {self._still_s():.0f} s). Restart it."
            )
        return Verdict(State.ALIVE, "The model server is alive.")

    def start(self) -> asyncio.Task[None]:
        """Watch in a task of its own until that is cancelled; it ends by itself only with an error, which is logged."""
        return asyncio.create_task(self._run(), name="model-server-watch")

    async def look(self) -> None:
        """Probe the server once and draw the conclusions."""
        start_s = self._clock()
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                sign = await self._probe()
        except ServerError as exc:
            self._on_failure(start_s, str(exc), refused=True, loading=isinstance(exc, ServerLoading))
        except TimeoutError:
            self._on_failure(start_s, f"The model server did not answer within {_PROBE_TIMEOUT_S:g} s.")
        except Exception as exc:
            if self._failing_since_s is None:
                logger.exception("the model server's answer to the probe cannot be read")
            self._on_failure(start_s, f"The model server's answer cannot be read ({type(exc).__name__}).")
        else:
            moved = sign != self._sign
            if moved:
                self._sign = sign
                self._seen_s = self._clock()
                self._forget_stillness()
            self._on_answer()
            if not moved:
                self._judge_stillness()
        self._settle()

    async def _run(self) -> None:
        try:
            while True:
                hurried = self._stall_limits_s or self._state() is not State.ALIVE
                due_s = self._seen_s + self._interval_s * (1 if hurried else _IDLE_INTERVALS)
                if (pause_s := due_s - self._clock()) <= 0:
                    await self.look()
                    continue
                self._woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._woken.wait()
        except Exception:
            logger.critical("nobody watches the model server any more", exc_info=True)
            raise

    def _on_failure(self, start_s: float, failure: str, *, refused: bool = False, loading: bool = False) -> None:
        if self._seen_s <= start_s:  # else a job has moved meanwhile
            self._failure, self._loading = failure, loading
            if self._failing_since_s is None:
                self._failing_since_s, self._was_refused = start_s, False
            self._was_refused |= refused
        self._seen_s = self._clock()

    def _on_answer(self) -> None:
        self._seen_s = self._clock()
        if self._failing_since_s is not None and self._was_refused:
            # A server that refused and answers again is another process; one that was merely slow is the same.
            self._forget_stillness()
        self._failing_since_s = None

    def _judge_stillness(self) -> None:
        if self._stall_limits_s and self._still_s() >= max(self._stall_limits_s.values()):
            self._hung, self._hung_jobs = True, ", ".join(self._stall_limits_s)
        elif self._is_suspicious:
            self._suspected = True
            logger.warning(
                "the %s may hang: %s shows no progress for %.0f s. Look at its log; restart it if it does not go on",
                self._name,
                ", ".join(self._forecasts_s),
                self._still_s(),
                extra={"given_up_in_s": round(max(self._stall_limits_s.values()) - self._still_s())},
            )

    @property
    def _is_suspicious(self) -> bool:
        if self._suspected or not self._forecasts_s:
            return False
        longest_s = max(self._forecasts_s.values())
        return self._still_s() >= max(_SUSPICIOUS_S, _SUSPICIOUS_FORECASTS * longest_s)

    def _forget_stillness(self) -> None:
        self._hung = self._suspected = False
        self._still_before_s = 0.0
        self._still_since_s = self._seen_s if self._stall_limits_s else None

    def _still_s(self) -> float:
        return self._still_before_s if self._still_since_s is None else self._clock() - self._still_since_s

    def _state(self) -> State:
        if self._failing_since_s is not None:
            if self._loading:
                return State.LOADING
            return State.LOST if self.lost.is_set() else State.AWAY
        return State.HUNG if self._hung else State.ALIVE

    def _settle(self) -> None:
        since_s = self._failing_since_s
        lost = self._hung or (since_s is not None and self._clock() - since_s >= _LOST_S)
        into, out_of = (self.lost, self.usable) if lost else (self.usable, self.lost)
        into.set()
        out_of.clear()
        if (state := self._state()) is not self._told:
            self._told = state
            level = logging.INFO if state is State.ALIVE else logging.WARNING
            logger.log(level, "the model server is %s", state, extra={"reason": self.verdict().reason})
