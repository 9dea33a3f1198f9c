"""Monitors the model server: whether it answers, and whether its jobs make progress."""

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
"""A job without progress for three times its forecast, and at least this long, is worth a warning."""


class ServerState(StrEnum):
    """The model server's state."""

    ALIVE = "alive"
    LOADING = "loading"
    """It answers that it is loading its model."""
    AWAY = "away"
    """It does not answer, but not for long yet."""
    LOST = "lost"
    """It has been away for too long."""
    HUNG = "hung"
    """It answers, and its jobs make no progress."""


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """The model server's state, with a reason for people."""

    state: ServerState
    reason: str

    @property
    def alive(self) -> bool:
        """Whether a restart would not help."""
        return self.state in {ServerState.ALIVE, ServerState.LOADING}


@dataclass(slots=True)
class _HeldJob:
    """A job on the server: how long it may make no progress, and how long it should take."""

    stall_s: float
    forecast_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Outage:
    """A time without a good answer, since the first failed probe."""

    since_s: float
    reason: str
    is_loading: bool
    was_refused: bool
    """Whether the server refused a probe: what answers after that is another process."""


class ServerMonitor:
    """Decides whether the model server is alive, from probes and from what is reported of its jobs.

    A server is lost after 20 s without an answer, counted from the first failed probe and established by a later one:
    an agent that was itself frozen does not blame the server. One that is loading its model cannot be used either, but
    is alive: a restart would start the loading again. A hung server stays hung, with or without jobs, until a job makes
    progress or the server has been away and is back.

    Args:
        probe: Asks the server for its liveness token, within 5 s. Any error counts as no answer; ServerLoading says
            that the server is alive all the same. A token that differs from the last shows that the server works, or
            was restarted.
        stall_s: Seconds without progress of any job after which a server that has one is hung.
        url: Where the server is, for messages.
        interval_s: Seconds between probes while the server has a job or is not alive; five times that otherwise.

    Attributes:
        lost: Set while the server cannot be used: it is lost or hung.
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
        self._jobs: dict[str, _HeldJob] = {}
        self._suspected = False
        self._hung_jobs: tuple[str, ...] = ()
        self._outage: _Outage | None = None
        self._seen_s = self._still_since_s = clock()
        self._idle_since_s: float | None = clock()  # None while the server has a job
        self._token: object = None
        self._logged = ServerState.ALIVE
        self._woken = asyncio.Event()

    def job_started(self, job: str, *, stall_s: float | None = None) -> None:
        """Note that the server is about to receive a job.

        Its own ``stall_s`` replaces the monitor's; of several jobs, the longest one counts.
        """
        self._jobs[job] = _HeldJob(self._stall_s if stall_s is None else stall_s)
        if self._idle_since_s is not None:
            # The time continues from a job that was given up: a dead server must not seem to work again.
            self._still_since_s += self._clock() - self._idle_since_s
            self._idle_since_s = None
            self._woken.set()

    def job_began(self, job: str, forecast_s: float | None) -> None:
        """Note that the server runs a job, and how long it should take; None where that is unknown."""
        if forecast_s is not None and (held := self._jobs.get(job)):
            held.forecast_s = forecast_s

    def job_moved(self, job: str) -> None:
        """Note a sign that the server works on a job, beyond a mere answer; ignored for other jobs than its own."""
        if job in self._jobs:
            self._seen_s = self._clock()
            self._outage = None
            self._on_progress()
            self._settle()

    def job_ended(self, job: str, *, answered: bool) -> None:
        """Note that the server no longer has a job; ignored for other jobs than its own.

        Only one that the server itself ended, with whatever result, shows that it works: even a server whose worker is
        dead removes from its queue the jobs that the agent gives up.
        """
        if answered:
            self.job_moved(job)
        self._jobs.pop(job, None)
        if not self._jobs and self._idle_since_s is None:
            self._idle_since_s = self._clock()

    def health(self) -> ServerHealth:
        """The server's health as far as it is known now."""
        if self._outage is not None:
            away_s = self._clock() - self._outage.since_s
            return ServerHealth(self._state, f"No good answer for {away_s:.0f} s: {self._outage.reason}")
        if self._hung_jobs:
            jobs = ", ".join(self._hung_jobs)
            return ServerHealth(self._state, f"The {self._name} hangs ({jobs}, {self._still_s:.0f} s). Restart it.")
        return ServerHealth(self._state, "The model server is alive.")

    def start(self) -> asyncio.Task[None]:
        """Monitor in a task until that is cancelled; it ends by itself only with an error, which is logged."""
        return asyncio.create_task(self._run(), name="server-monitor")

    async def look(self) -> None:
        """Probe the server once and draw the conclusions."""
        start_s = self._clock()
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                token = await self._probe()
        except ServerError as exc:
            self._on_failure(start_s, str(exc), was_refused=True, is_loading=isinstance(exc, ServerLoading))
        except TimeoutError:
            self._on_failure(start_s, f"The model server did not answer within {_PROBE_TIMEOUT_S:g} s.")
        except Exception as exc:
            # A driver that cannot read an answer must not end the monitor, and no answer is worth more than none.
            if self._outage is None:
                logger.exception("the model server's answer to the probe cannot be read")
            self._on_failure(start_s, f"The model server's answer cannot be read ({type(exc).__name__}).")
        else:
            self._on_answer(token)
        self._settle()

    async def _run(self) -> None:
        try:
            while True:
                hurried = self._jobs or self._state is not ServerState.ALIVE
                due_s = self._seen_s + self._interval_s * (1 if hurried else _IDLE_INTERVALS)
                if (pause_s := due_s - self._clock()) <= 0:
                    await self.look()
                    continue
                self._woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._woken.wait()
        except Exception:
            # The worker ends with it; the log must say why.
            logger.critical("the model server is no longer monitored", exc_info=True)
            raise

    def _on_failure(self, start_s: float, reason: str, *, was_refused: bool = False, is_loading: bool = False) -> None:
        if self._seen_s <= start_s:  # else a job has made progress meanwhile
            if self._outage is not None:
                start_s, was_refused = self._outage.since_s, was_refused or self._outage.was_refused
            self._outage = _Outage(start_s, reason, is_loading, was_refused)
        self._seen_s = self._clock()

    def _on_answer(self, token: object) -> None:
        self._seen_s = self._clock()
        moved, self._token = token != self._token, token
        if moved or (self._outage is not None and self._outage.was_refused):
            self._on_progress()
        self._outage = None
        if not moved:
            self._judge_stillness()

    def _on_progress(self) -> None:
        self._hung_jobs, self._suspected = (), False
        self._still_since_s = self._seen_s
        if self._idle_since_s is not None:
            self._idle_since_s = self._seen_s

    def _judge_stillness(self) -> None:
        if not self._jobs:
            return
        still_s, stall_s = self._still_s, max(job.stall_s for job in self._jobs.values())
        if still_s >= stall_s:
            self._hung_jobs = tuple(self._jobs)
            return
        forecasts_s = {name: job.forecast_s for name, job in self._jobs.items() if job.forecast_s is not None}
        longest_s = max(forecasts_s.values(), default=float("inf"))
        if not self._suspected and still_s >= max(_SUSPICIOUS_S, _SUSPICIOUS_FORECASTS * longest_s):
            self._suspected = True
            logger.warning(
                "the %s may hang: %s shows no progress for %.0f s. Look at its log; restart it if it does not go on",
                self._name,
                ", ".join(forecasts_s),
                still_s,
                extra={"given_up_in_s": round(stall_s - still_s)},
            )

    @property
    def _still_s(self) -> float:
        """Seconds without progress, without the time in which the server had no job."""
        return (self._clock() if self._idle_since_s is None else self._idle_since_s) - self._still_since_s

    @property
    def _state(self) -> ServerState:
        if self._outage is not None:
            if self._outage.is_loading:
                return ServerState.LOADING
            return ServerState.LOST if self.lost.is_set() else ServerState.AWAY
        return ServerState.HUNG if self._hung_jobs else ServerState.ALIVE

    def _settle(self) -> None:
        away_s = 0.0 if self._outage is None else self._clock() - self._outage.since_s
        lost = bool(self._hung_jobs) or (self._outage is not None and away_s >= _LOST_S)
        into, out_of = (self.lost, self.usable) if lost else (self.usable, self.lost)
        into.set()
        out_of.clear()
        if (state := self._state) is not self._logged:
            self._logged = state
            level = logging.INFO if state is ServerState.ALIVE else logging.WARNING
            logger.log(level, "the model server is %s", state, extra={"reason": self.health().reason})
