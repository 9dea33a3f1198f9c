"""The way of one message: read, claim, prepare, run, store, notify, delete."""

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from contract.deadlines import Deadlines
from contract.job_record import JobRecord
from contract.notice import Notice, Problem, notice_of_unreadable
from queue_agent.claiming import Claims
from queue_agent.content import Contents
from queue_agent.errors import (
    PASSING_CODES,
    AttemptsExhausted,
    InternalFault,
    LeaseLost,
    PassingFault,
    PlatformFault,
    SchemaTooNew,
    StartedTooLate,
    TaskFault,
    UnreadableMessage,
)
from queue_agent.execution import Execution
from queue_agent.lease import Lease, lease_s
from queue_agent.line import Place
from queue_agent.log import log_fields
from queue_agent.message import Assignment, read_message
from queue_agent.ports import Claim, Ended, Held, Inputs, Jobs, Notices, Queue, QueueMessage, Telemetry
from queue_agent.results import Results
from queue_agent.stages import Stages

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
_FIRST_RETRY_S = 5
_LAST_RETRY_S = 60
_JITTER_S = 5.0


@dataclass(frozen=True, slots=True)
class _Job:
    """A claimed job on its way."""

    message: QueueMessage
    assignment: Assignment
    deadlines: Deadlines
    stages: Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Handles messages; several at once, each in its place in the line before the GPU.

    Attributes:
        queue: Where the messages come from.
        jobs: Who has which job.
        notices: Where notices go.
        execution: The model server.
        inputs: Fetches what tasks link to.
        contents: Fetches what did not fit into a message.
        results: Where pictures go.
        runtime_name: The runtime this agent belongs to.
        bucket: The output bucket.
        deadlines: How long a job may take unless its task asks for something else.
        telemetry: Is told of all that happens.
    """

    queue: Queue
    jobs: Jobs
    notices: Notices
    execution: Execution
    inputs: Inputs
    contents: Contents
    results: Results
    runtime_name: str
    bucket: str
    deadlines: Deadlines
    telemetry: Telemetry

    async def handle(self, message: QueueMessage, place: Place) -> None:
        """Bring a message to its end: done and deleted, given back, or kept in the dead queue.

        Cancelling it interrupts the job and gives the message back at once.
        """
        received_s = time.monotonic()
        try:
            try:
                assignment = read_message(message)
            except SchemaTooNew as exc:
                logger.warning("given back: %s", exc)
                await self.queue.release(message, self.queue.visibility_s)
            except UnreadableMessage as exc:
                await self._bury_unreadable(message, exc)
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
        stages = Stages(self.telemetry)
        deadlines = self.deadlines.with_asked(assignment.task.metadata.deadlines)
        async with _beside(self._prepare(assignment, stages)) as preparation:
            left_s = lease_s(self.queue.visibility_s) - (time.monotonic() - received_s)
            try:
                with stages("claim"):
                    claim = await Claims(self.jobs).take(message, assignment, deadlines=deadlines, lease_s=left_s)
            except PlatformFault as exc:
                logger.warning("given back: %s", exc)
                await self.queue.release(message, _backoff_s(message.receive_count))
                return
            except asyncio.CancelledError:
                await asyncio.shield(self.queue.release(message))
                raise
            match claim:
                case Held(left_s=left_s):
                    logger.info("another agent has the job", extra={"left_s": round(left_s)})
                    jitter_s = random.uniform(0, _JITTER_S)  # noqa: S311 (no secret)
                    await self.queue.release(message, int(left_s + jitter_s) + 1)
                case Ended(record=record):
                    logger.info("found ended")
                    await self._settle(message, dataclasses.replace(assignment, generation=record.generation), record)
                case Claim():
                    self.telemetry.annotate(attempt=claim.attempt)
                    job = _Job(message, dataclasses.replace(assignment, generation=claim.generation), deadlines, stages)
                    lease = Lease(
                        queue=self.queue,
                        jobs=self.jobs,
                        message=message,
                        job=assignment.job,
                        claim=claim,
                        held_since_s=received_s,
                        progress=place.progress,
                    )
                    async with lease:
                        await self._do(job, lease, place, preparation)

    async def _settle(self, message: QueueMessage, assignment: Assignment, record: JobRecord) -> None:
        """Do what whoever ended the job may have left undone: tell of it, and keep or delete its message."""
        if not record.notified:
            stored = await self.results.find(assignment)
            # The manifest has the whole error; but it is the table that says how the job has ended.
            agrees = stored is not None and stored.status == record.state.value
            await self._tell(stored if stored is not None and agrees else record.notice(self.bucket))
        await self._dismiss(message, record.error)

    async def _dismiss(self, message: QueueMessage, error: Problem | None) -> None:
        """Delete the message of a job that has ended; one given up for no fault of its own is kept for redrive."""
        if error is not None and error.code in PASSING_CODES:
            await self.queue.bury(message, error.code, error.message)
        else:
            await self.queue.delete(message)

    async def _do(self, job: _Job, lease: Lease, place: Place, preparation: asyncio.Task[Any]) -> None:
        try:
            try:
                notice = await self._outcome(job, lease, place, preparation)
                await self._conclude(job, lease, notice)
                await self._dismiss(job.message, notice.error)
                logger.info("done", extra={"status": notice.status, "attempt": lease.attempts})
            except PassingFault as exc:
                await self._retry_or_bury(job, lease, exc)
            except LeaseLost:
                raise
            except Exception as exc:
                logger.exception("the agent failed")
                fault = InternalFault(f"The agent failed ({type(exc).__name__}).")
                await self._retry_or_bury(job, lease, fault)
        except LeaseLost as exc:
            logger.warning("dropped: %s", exc)
        except asyncio.CancelledError:
            # A job that was running when its server was lost may be what killed it; a stopped agent proves nothing.
            blameless = not (lease.begun and self.execution.watch.lost.is_set())
            await asyncio.shield(lease.hand_back(blameless=blameless, start_s=job.deadlines.start_s))
            logger.info("given back")
            raise

    async def _outcome(self, job: _Job, lease: Lease, place: Place, preparation: asyncio.Task[Any]) -> Notice:
        """Do the job, unless a former delivery has done it."""
        claim = lease.claim
        if claim.number > 1 and (notice := await self.results.find(job.assignment)):
            logger.info("found done; the notice is repeated")
            return notice
        if self.jobs.authoritative and claim.attempt > MAX_ATTEMPTS:
            raise AttemptsExhausted(f"The job was begun {claim.attempt - 1} times, and each time its agent vanished.")
        try:
            with lease.interruptible():
                waited_s = time.time() - claim.created_s
                if claim.number == 1 and claim.generation == 0 and waited_s > job.deadlines.start_s:
                    raise StartedTooLate(f"The job was not begun within {job.deadlines.start_s:g} s.")
                prepared = await preparation
                server = self.execution.server
                place.ready(server.work(prepared), partial(server.progress, job.assignment.job))
                result = await self.execution.run(
                    prepared, job.assignment.job, lease=lease, place=place, deadlines=job.deadlines, stages=job.stages
                )
            lease.check()
            with job.stages("store"):
                return await self.results.store(job.assignment, result, job.stages.seconds)
        except TaskFault as exc:
            logger.info("%s: %s", exc.status, exc.code)
            lease.check()
            return await self.results.store_failure(job.assignment, exc)

    async def _prepare(self, assignment: Assignment, stages: Stages) -> Any:
        with stages("prepare"):
            task = await self.contents.complete(assignment.task)
            return await self.execution.server.prepare(task, self.inputs)

    async def _conclude(self, job: _Job, lease: Lease, notice: Notice) -> None:
        """End the job, then tell of it: nobody may hear of an ending that another agent could still change."""
        with job.stages("finish"):
            await lease.finish(notice, job.stages.seconds)
        self.telemetry.job_ended(notice.status, notice.error.code if notice.error else None)
        with job.stages("notify"):
            await self._tell(notice)

    async def _tell(self, notice: Notice) -> None:
        await self.notices.publish(notice)
        await self.jobs.notified(notice.job)

    async def _retry_or_bury(self, job: _Job, lease: Lease, fault: PassingFault) -> None:
        counted = lease.begun or not self.jobs.authoritative
        attempt = lease.claim.attempt
        if isinstance(fault, AttemptsExhausted) or (counted and attempt >= MAX_ATTEMPTS):
            await self._bury(job, lease, fault)
            return
        delay_s = _backoff_s(attempt if counted else job.message.receive_count)
        self.telemetry.retried(fault.code)
        logger.warning("given back: %s", fault, extra={"attempt": attempt, "retry_in_s": delay_s})
        await lease.hand_back(delay_s=delay_s, blameless=not counted, start_s=job.deadlines.start_s)

    async def _bury(self, job: _Job, lease: Lease, fault: PassingFault) -> None:
        # All but the notice may have been done before: a job has one ending, and no second one may be told.
        notice = await self.results.find(job.assignment)
        if notice is None:
            logger.error("given up: %s", fault, extra={"attempt": lease.claim.attempt})
            notice = await self.results.store_failure(job.assignment, fault)
        await self._conclude(job, lease, notice)
        await self._dismiss(job.message, notice.error)

    async def _bury_unreadable(self, message: QueueMessage, fault: UnreadableMessage) -> None:
        logger.error("unreadable message", extra={"message_id": message.message_id, "job": fault.job})
        if fault.task_id is not None:
            await self.notices.publish(
                notice_of_unreadable(
                    task_id=fault.task_id,
                    context=fault.context,
                    job=fault.job,
                    runtime=self.runtime_name,
                    problem=Problem(code=fault.code, message=str(fault)),
                )
            )
        await self.queue.bury(message, fault.code, str(fault))


@asynccontextmanager
async def _beside(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Do some work beside the context; what is not done by its end is cancelled, and an unclaimed failure forgotten."""
    task = asyncio.create_task(work, name="prepare")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()


def _backoff_s(attempt: int) -> int:
    return min(_FIRST_RETRY_S << min(attempt - 1, 10), _LAST_RETRY_S)
