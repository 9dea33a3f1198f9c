"""What drivers share whose servers have a queue: submit, follow, adopt, withdraw, reconcile.

A job's id on the server is made of the job and the claim that posted it. A later claim first looks for what the
earlier ones left on the server, and adopts it. A driver's methods say how its server is asked; this module says when.
"""

import asyncio
import logging
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from jobs.job import Progress
from queue_agent.errors import AgentError, ServerError
from queue_agent.ports import Executor, PreparedTask, Result, RunSignals, Supervised
from queue_agent.settings import Settings
from runtimes._http import ModelServerClient

logger = logging.getLogger(__name__)

MAX_EARLIER_CLAIMS = 20
"""How many claims of a job are looked for on the server; there is hardly ever more than one."""
_FIRST_PAUSE_S = 0.005

ServerState = Literal["waiting", "running", "encoding", "succeeded", "failed", "cancelled"]
"""Of a job on its server; encoding: the GPU is free of it, its files are still being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What the server says of a job.

    Attributes:
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


PreparedT = TypeVar("PreparedT", bound=PreparedTask)


class QueuedJob(Generic[PreparedT]):
    """A job on its server; tells when it begins and when the GPU is free of it, each once and in this order."""

    def __init__(self, job: str, server_id: str, prepared: PreparedT, signals: RunSignals) -> None:
        self.job = job
        self.server_id = server_id
        self.prepared = prepared
        self._signals = signals
        self._has_begun = False
        self._is_freed = False

    @property
    def is_running(self) -> bool:
        """Whether the GPU works on it."""
        return self._has_begun and not self._is_freed

    @property
    def progress(self) -> Progress | None:
        """How far it is; None where that is unknown."""
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
        """Note the state and the batch that the server reports; a cancelled job may never have begun."""
        if state == "running":
            self.begin(batch if isinstance(batch, int) else None)
        elif state in ("encoding", "succeeded", "failed"):
            self.free()


JobT = TypeVar("JobT", bound=QueuedJob[Any])


class QueuedServer(Executor, Supervised, Generic[JobT]):
    """Runs jobs by the queue of the model server beside the agent."""

    job_type: ClassVar[type[QueuedJob[Any]]] = QueuedJob
    max_pause_s: ClassVar[float] = 0.2
    """Pauses between two questions grow from 5 ms to this."""

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._jobs: dict[str, JobT] = {}
        """The jobs that run, by their ids on the server."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver."""
        return cls(ModelServerClient(settings.api_base_url, settings.runtime_type.pod.health_path))

    @abstractmethod
    async def _submit(self, job: JobT) -> None:
        """Post a job under its id: TaskError says that it is rejected, ServerError that this is unknown."""

    async def _follow(self, job: JobT) -> JobReport | None:  # noqa: ARG002 (an override's)
        """Wait for a job's end; None or ServerError where the server should be asked, as at once without events."""
        return None

    @abstractmethod
    async def _report(self, server_id: str) -> JobReport | None:
        """Ask how a job is; None where the server does not know it."""

    @abstractmethod
    async def _result(self, job: JobT, report: JobReport) -> Result:
        """The result of a job that succeeded."""

    @abstractmethod
    async def _withdraw(self, server_id: str) -> None:
        """Take a job out of the server, whether it waits or runs; one that is not there is ignored."""

    @abstractmethod
    async def _waiting(self) -> Sequence[str]:
        """The jobs in the server's queue that do not run yet."""

    def _can_adopt(self, prepared: Any) -> bool:  # noqa: ARG002 (an override's)
        """Whether a task's results can be had from a run that was begun by another claim."""
        return True

    async def run(self, prepared: Any, job: str, claim: int, signals: RunSignals) -> Result:
        """Run a task to its end, or adopt what an earlier claim left; its files are read while they are stored."""
        adopted = await self._left_by_earlier_claims(job, claim) if self._can_adopt(prepared) else None
        with self._known(job, adopted or server_job_id(job, claim), prepared, signals) as running:
            try:
                if adopted is None:
                    await self._submit(running)
                report = await self._wait(running)
            except ServerError:
                # Only an answer may be lost: the job must not run on while another agent runs it again.
                with suppress(ServerError):
                    await self._withdraw(running.server_id)
                raise
            if report.error is not None:
                raise report.error
            return await self._result(running, report)

    async def interrupt(self, job: str, claim: int) -> None:
        """Take a job out of the server, whichever claim posted it."""
        for server_id in _newest_first(job, claim):
            await self._withdraw(server_id)

    @contextmanager
    def _known(self, job: str, server_id: str, prepared: Any, signals: RunSignals) -> Iterator[JobT]:
        running: Any = self.job_type(job, server_id, prepared, signals)
        self._jobs[server_id] = running
        try:
            yield running
        finally:
            del self._jobs[server_id]

    async def _wait(self, job: JobT) -> JobReport:
        """Wait for the end: by the server's events, and by questions where they break off or say nothing."""
        pause_s = _FIRST_PAUSE_S
        while True:
            report = None
            with suppress(ServerError):
                report = await self._follow(job)
            if report is None:
                report = await self._report(job.server_id)
            if report is None:
                raise ServerError("The model server has lost the job; it was restarted.")
            job.note_state(report.state, report.batch)
            if report.has_ended:
                return report
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self.max_pause_s)

    async def _left_by_earlier_claims(self, job: str, claim: int) -> str | None:
        """The newest run of an earlier claim that goes on here, or has ended and would end the same again."""
        for server_id in _newest_first(job, claim - 1):
            report = await self._report(server_id)
            if report is not None and report.would_end_the_same:
                logger.info("the job's earlier run is adopted")
                return server_id
        return None

    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs."""
        await self._client.wait_until_ready()

    async def clear(self) -> None:
        """Withdraw what an earlier agent left waiting; what it left running can be adopted."""
        if waiting := await self._waiting():
            logger.info("jobs of an earlier agent are withdrawn", extra={"jobs": len(waiting)})
            for server_id in waiting:
                await self._withdraw(server_id)

    async def progress(self, job: str) -> Progress | None:
        """How far a job is while it has the GPU."""
        running = self._running(job)
        return None if running is None else running.progress

    async def preview(self, job: str) -> bytes | None:
        """What the server shows of a job while it has the GPU."""
        running = self._running(job)
        return None if running is None else await self._preview_of(running)

    async def _preview_of(self, job: JobT) -> bytes | None:  # noqa: ARG002 (an override's)
        """The latest picture of how far a job is; None without one."""
        return None

    def _running(self, job: str) -> JobT | None:
        return next((one for one in self._jobs.values() if one.job == job and one.is_running), None)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


def server_job_id(job: str, claim: int) -> str:
    """What a job is called on the server, under a claim."""
    return str(uuid.uuid5(uuid.UUID(job), str(claim)))


def _newest_first(job: str, claim: int) -> Iterator[str]:
    """What a job is called under a claim and those before it."""
    for number in range(claim, max(0, claim - MAX_EARLIER_CLAIMS), -1):
        yield server_job_id(job, number)
