"""The way of one message: read, claim, prepare, run, store; then its ending."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from contract.deadlines import Deadlines
from contract.notice import Notice
from queue_agent.claiming import Claims
from queue_agent.content import Contents
from queue_agent.endings import MAX_ATTEMPTS, ClaimedJob, Endings, backoff_s
from queue_agent.errors import (
    AttemptsExhausted,
    InternalError,
    LeaseLost,
    PlatformError,
    RetryableError,
    SchemaTooNew,
    ServerError,
    StartedTooLate,
    TaskError,
    UnreadableMessage,
)
from queue_agent.execution import Execution
from queue_agent.lease import Lease, lease_s
from queue_agent.line import Place
from queue_agent.log import log_fields
from queue_agent.memory import MemoryBudget, TaskMemory
from queue_agent.message import Assignment, read_message
from queue_agent.ports import (
    AlreadyFinished,
    Claim,
    ClaimDenied,
    Jobs,
    PreparedTask,
    Queue,
    QueueMessage,
    Result,
    Telemetry,
    TenantInputs,
)
from queue_agent.results import Results
from queue_agent.stages import Stages
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)

_JITTER_S = 5.0
_STORE_S = 900.0
"""For all files of a job: a model server may send one for ever, byte by byte."""
_PREPARE_S = 300.0
"""For all of a task's preparation: content, inputs and uploads; not for its wait until there is room for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Handles messages; several at once, each in its place in the line before the GPU.

    Attributes:
        queue: Where the messages come from.
        jobs: Who has which job.
        execution: The model server.
        inputs: Fetches what tasks link to.
        contents: Fetches what did not fit into a message.
        results: Where pictures go.
        endings: Ends messages.
        memory: Bounds what all tasks hold.
        deadlines: How long a job may take unless its task asks for something else.
        telemetry: Is told of all that happens.
    """

    queue: Queue
    jobs: Jobs
    execution: Execution
    inputs: TenantInputs
    contents: Contents
    results: Results
    endings: Endings
    memory: MemoryBudget
    deadlines: Deadlines
    telemetry: Telemetry

    async def handle(self, message: QueueMessage, place: Place) -> None:
        """Bring a message to its end: done and deleted, given back, or kept in the dead queue.

        Cancelling it interrupts the job and gives the message back at once.
        """
        received_s = time.monotonic()
        try:
            assignment = read_message(message)
        except SchemaTooNew as exc:
            logger.warning("given back: %s", exc)
            await self.queue.release(message, self.queue.visibility_s)
        except UnreadableMessage as exc:
            await self.endings.bury_unreadable(message, exc)
        else:
            names = {"job": assignment.job, "task": assignment.task.metadata.id}
            trace = {"trace_header": message.trace_header, "traceparent": assignment.traceparent}
            with log_fields(**names), self.telemetry.message(**trace):
                self.telemetry.annotate(**names)
                if message.receive_count == 1:
                    self.telemetry.queue_age(time.time() - message.sent_ms / 1000)
                await self._take(message, assignment, place, received_s)
        finally:
            place.leave()

    async def _take(self, message: QueueMessage, assignment: Assignment, place: Place, received_s: float) -> None:
        """Claim the job, and prepare it meanwhile."""
        deadlines = self.deadlines.with_asked(assignment.task.metadata.deadlines)
        with self.memory.share() as share:
            memory = TaskMemory(share, partial(self.inputs.fetch, tenant=assignment.tenant))
            memory.has_content(len(message.body))
            job = ClaimedJob(message, assignment, deadlines, Stages(self.telemetry), memory)
            executor, over = self.execution.executor, False
            async with _beside(self._prepare(job), lambda made: executor.discard(made, over=over)) as preparation:
                match await self._claim(job, received_s):
                    case ClaimDenied(left_s=left_s):
                        # Nobody may have it: an agent that vanished, or could not give it back, leaves such a lease.
                        logger.info("the job's lease has not ended", extra={"left_s": round(left_s)})
                        jitter_s = random.uniform(0, _JITTER_S)  # noqa: S311 (no secret)
                        await self.queue.release(message, int(left_s + jitter_s) + 1)
                    case AlreadyFinished(record=record):
                        logger.info("found ended")
                        await self.endings.settle(message, assignment, record)
                    case Claim() as claim:
                        self.telemetry.annotate(attempt=claim.attempt)
                        job = job.in_generation(claim.generation)
                        over = await self._keep(job, claim, received_s, place, preparation)

    async def _claim(self, job: ClaimedJob, received_s: float) -> Claim | ClaimDenied | AlreadyFinished | None:
        """Claim the job; None where the table does not answer and the message is given back."""
        left_s = lease_s(self.queue.visibility_s) - (time.monotonic() - received_s)
        try:
            with job.stages("claim"):
                return await Claims(self.jobs).take(
                    job.message, job.assignment, deadlines=job.deadlines, lease_s=left_s
                )
        except PlatformError as exc:
            logger.warning("given back: %s", exc)
            await self.queue.release(job.message, backoff_s(job.message.receive_count))
            return None
        except asyncio.CancelledError:
            await uninterrupted(self.queue.release(job.message))
            raise

    async def _keep(
        self, job: ClaimedJob, claim: Claim, received_s: float, place: Place, preparation: asyncio.Task[PreparedTask]
    ) -> bool:
        """Keep a claimed job until it is done or given back; whether it is done."""
        lease = Lease(
            queue=self.queue,
            jobs=self.jobs,
            message=job.message,
            job=job.assignment.job,
            claim=claim,
            held_since_s=received_s,
            progress=place.progress,
        )
        async with lease:
            try:
                return await self._do(job, lease, place, preparation)
            except LeaseLost as exc:
                logger.warning("dropped: %s", exc)
                return False
            except asyncio.CancelledError:
                # A job that was running when its server was lost may be what killed it; a stopped agent proves nothing.
                blameless = not (lease.begun and self.execution.watch.lost.is_set())
                await uninterrupted(lease.hand_back(blameless=blameless, start_s=job.deadlines.start_s))
                logger.info("given back")
                raise

    async def _do(self, job: ClaimedJob, lease: Lease, place: Place, preparation: asyncio.Task[Any]) -> bool:
        try:
            notice = await self._outcome(job, lease, place, preparation)
            await self.endings.conclude(job, lease, notice)
            seconds = {"seconds": job.stages.elapsed_s, "run_s": job.stages.seconds.get("run")}
            logger.info("done", extra={"status": notice.status, "attempt": lease.attempts, **seconds})
        except RetryableError as exc:
            await self._retry(job, lease, exc)
        except LeaseLost:
            raise
        except Exception as exc:
            logger.exception("the agent failed")
            await self._retry(job, lease, InternalError(f"The agent failed ({type(exc).__name__})."))
        else:
            return True
        return False

    async def _retry(self, job: ClaimedJob, lease: Lease, fault: RetryableError) -> None:
        if fault.counts:
            # Else a task that fails before the server gets it would be tried until its message is delivered no more.
            lease.begin()
            lease.left_server()
        await self.endings.retry_or_bury(job, lease, fault)

    async def _outcome(self, job: ClaimedJob, lease: Lease, place: Place, preparation: asyncio.Task[Any]) -> Notice:
        """Do the job, unless a former delivery has done it."""
        if lease.claim.number > 1 and (notice := await self.results.find(job.assignment)):
            logger.info("found done; the notice is repeated")
            return notice
        self._check_attempts(lease.claim)
        try:
            with lease.interruptible():
                _check_start(job, lease.claim)
                prepared = await preparation
                place.ready(prepared.work, partial(self.execution.server.progress, job.assignment.job))
                result = await self.execution.run(
                    prepared, job.assignment.job, lease=lease, place=place, deadlines=job.deadlines, stages=job.stages
                )
            lease.check()
            job.memory.has_result(result)
            with job.stages("store"):
                return await self._store(job, result)
        except TaskError as exc:
            logger.info("%s: %s", exc.status, exc.code)
            lease.check()
            return await self.results.store_failure(job.assignment, exc)

    async def _prepare(self, job: ClaimedJob) -> PreparedTask:
        with job.stages("prepare"):
            try:
                async with job.memory.time_limit(_PREPARE_S):
                    task = await self.contents.complete(job.assignment.task, job.memory)
                    prepared = await self.execution.executor.prepare(task, job.memory)
            except TimeoutError as exc:
                raise InternalError(f"The task was not prepared within {_PREPARE_S:g} s.") from exc
            job.memory.is_prepared()
            return prepared

    async def _store(self, job: ClaimedJob, result: Result) -> Notice:
        try:
            async with asyncio.timeout(_STORE_S):
                return await self.results.store(job.assignment, result, job.stages.seconds)
        except TimeoutError as exc:
            raise ServerError(f"The job's files were not stored within {_STORE_S:g} s.") from exc

    def _check_attempts(self, claim: Claim) -> None:
        if self.jobs.authoritative and claim.attempt > MAX_ATTEMPTS:
            raise AttemptsExhausted(f"The job was begun {claim.attempt - 1} times, and each time its agent vanished.")


def _check_start(job: ClaimedJob, claim: Claim) -> None:
    # By the clocks of AWS: the one here may have jumped. What waits after its first delivery is the keeper's to end.
    received_s = job.message.first_received_ms / 1000
    if claim.number == 1 and claim.generation == 0 and received_s > claim.start_by_s:
        raise StartedTooLate(f"The job was not begun within {job.deadlines.start_s:g} s.")


@asynccontextmanager
async def _beside(work: Any, discard: Callable[[Any], None]) -> AsyncIterator[asyncio.Task[Any]]:
    """Do some work beside the context; at its end what is not done is cancelled, and what came of it is discarded."""
    task = asyncio.create_task(work, name="prepare")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            discard(task.result())
