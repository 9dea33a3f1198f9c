"""What drivers share whose servers have a queue: jobs wait there under our ids, and are found and withdrawn by them.

A job's id on the server is made of the job and the claim that posted it. A later claim first looks for what the
earlier ones left on this server, and adopts it.
"""

import asyncio
import logging
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from queue_agent.errors import AgentError, ServerError
from queue_agent.ports import Executor, PreparedTask, Result, RunSignals, Supervised
from runtimes._http import ModelServerClient

logger = logging.getLogger(__name__)

MAX_EARLIER_CLAIMS = 20
"""How many claims of a job are looked for on the server; there is hardly ever more than one."""
_FIRST_PAUSE_S = 0.005
_LAST_PAUSE_S = 0.2
"""Pauses between two looks at a job whose end was announced or whose events broke off, each twice as long."""

ServerState = Literal["waiting", "running", "encoding", "succeeded", "failed", "cancelled"]
"""Of a job on its server; encoding: the GPU is free of it, its files are still being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What the server says of a job.

    Attributes:
        state: Its state.
        error: Why it gave nothing; None where it has, or still may.
        batch: What it runs in together with others, where the server says so.
        details: The driver's own.
    """

    state: ServerState
    error: AgentError | None = None
    batch: int | None = None
    details: Any = None

    @property
    def has_ended(self) -> bool:
        """Whether it never changes again."""
        return self.state in {"succeeded", "failed", "cancelled"}

    @property
    def would_end_the_same(self) -> bool:
        """Whether running the job again gains nothing: it goes on, has its results, or failed by its own fault."""
        return not isinstance(self.error, ServerError)


class JobWatch:
    """Passes on when a job begins and when the GPU is free of it: each once and in this order, whatever was missed.

    Args:
        signals: Called.
    """

    def __init__(self, signals: RunSignals) -> None:
        self._signals = signals
        self._has_begun = False
        self._is_freed = False

    @property
    def is_running(self) -> bool:
        """Whether the GPU works on it."""
        return self._has_begun and not self._is_freed

    @property
    def fraction(self) -> float | None:
        """How far the job is, from 0 to 1; None where that is unknown."""
        return None

    def begin(self, batch: int | None = None) -> None:
        """Note that the GPU works on it, together with others if there is a number of a batch."""
        if not self._has_begun:
            self._has_begun = True
            self._signals.started(batch)

    def free(self) -> None:
        """Note that the GPU is free of it."""
        self.begin()
        if not self._is_freed:
            self._is_freed = True
            self._signals.freed()

    def note_state(self, state: object, batch: object = None) -> None:
        """Note the state and the batch that the server says the job is in; a cancelled one may never have begun."""
        if state == "running":
            self.begin(batch if isinstance(batch, int) else None)
        elif state in ("encoding", "succeeded", "failed"):
            self.free()


PreparedT = TypeVar("PreparedT", bound=PreparedTask)
WatchT = TypeVar("WatchT", bound=JobWatch)


class QueuedServer(Executor, Supervised, Generic[PreparedT, WatchT]):
    """A driver of such a server, all but the server's own API.

    Args:
        client: The server.
    """

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._watches: dict[str, WatchT] = {}

    @abstractmethod
    def _watch(self, prepared: PreparedT, server_job: str, signals: RunSignals) -> AbstractContextManager[WatchT]:
        """Note what the server says of a job while the context lasts."""

    @abstractmethod
    async def _submit(self, prepared: PreparedT, server_job: str) -> None:
        """Post a job.

        Raises:
            TaskError: The server rejects it.
            ServerError: It is unknown whether the server has it.
        """

    @abstractmethod
    async def _follow(self, server_job: str, watch: WatchT) -> JobReport | None:
        """Return the job's end, or None when the server should be asked for it.

        Raises:
            ServerError: The server should be asked.
        """

    @abstractmethod
    async def _report(self, server_job: str) -> JobReport | None:
        """Ask how a job is; None where the server does not know it."""

    @abstractmethod
    async def _result(self, prepared: PreparedT, server_job: str, report: JobReport, watch: WatchT) -> Result:
        """The result of a job that succeeded."""

    @abstractmethod
    async def _waiting(self) -> Sequence[str]:
        """The jobs in the server's queue that do not run yet."""

    @abstractmethod
    async def _withdraw(self, server_job: str) -> None:
        """Take a job out of the server, whether it waits or runs; one that is not there is ignored."""

    def _can_adopt(self, prepared: PreparedT) -> bool:  # noqa: ARG002 (an override's)
        """Whether a task's results can be had from a run that was begun by another claim."""
        return True

    async def clear(self) -> None:
        """Withdraw what an earlier agent left waiting; what it left running can be adopted."""
        if waiting := await self._waiting():
            logger.info("jobs of an earlier agent are withdrawn", extra={"jobs": len(waiting)})
            for server_job in waiting:
                await self._withdraw(server_job)

    async def run(self, prepared: PreparedT, job: str, claim: int, signals: RunSignals) -> Result:
        """Run a task to its end, or adopt what an earlier claim left; its files are read while they are stored."""
        adopted = await self._left_by_earlier_claims(job, claim) if self._can_adopt(prepared) else None
        server_job = adopted or server_job_id(job, claim)
        with self._watch(prepared, server_job, signals) as watch, self._known(job, watch):
            try:
                if adopted is None:
                    await self._submit(prepared, server_job)
                report = await self._wait(server_job, watch)
            except ServerError:
                # Only an answer may be lost: the job must not run on while another agent runs it again.
                with suppress(ServerError):
                    await self._withdraw(server_job)
                raise
            if report.error is not None:
                raise report.error
            return await self._result(prepared, server_job, report, watch)

    async def interrupt(self, job: str, claim: int) -> None:
        """Take a job out of the server, whichever claim posted it."""
        for number in _newest_first(claim):
            await self._withdraw(server_job_id(job, number))

    async def progress(self, job: str) -> float | None:
        """How far a job is while it has the GPU."""
        watch = self._watches.get(job)
        return watch.fraction if watch and watch.is_running else None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _wait(self, server_job: str, watch: WatchT) -> JobReport:
        """Wait for the end: by the server's events, and by questions where they break off or say nothing."""
        pause_s = _FIRST_PAUSE_S
        while True:
            report = None
            with suppress(ServerError):
                report = await self._follow(server_job, watch)
            if report is None:
                report = await self._report(server_job)
            if report is None:
                raise ServerError("The model server has lost the job; it was restarted.")
            watch.note_state(report.state, report.batch)
            if report.has_ended:
                return report
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    async def _left_by_earlier_claims(self, job: str, claim: int) -> str | None:
        """The newest run of an earlier claim that goes on here, or has ended and would end the same again."""
        for number in _newest_first(claim - 1):
            report = await self._report(server_job_id(job, number))
            if report is not None and report.would_end_the_same:
                logger.info("the job's earlier run is adopted")
                return server_job_id(job, number)
        return None

    @contextmanager
    def _known(self, job: str, watch: WatchT) -> Iterator[None]:
        self._watches[job] = watch
        try:
            yield
        finally:
            del self._watches[job]


def server_job_id(job: str, claim: int) -> str:
    """What a job is called on the server, under a claim."""
    return str(uuid.uuid5(uuid.UUID(job), str(claim)))


def _newest_first(claim: int) -> range:
    return range(claim, max(0, claim - MAX_EARLIER_CLAIMS), -1)
