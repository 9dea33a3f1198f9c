"""The way of one message: receive, parse, claim, prepare, run, store, complete, notify, ack."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from contract.deadlines import Deadlines
from contract.envelope import NewerSchemaError, TaskMessage, UnreadableMessageError, read_message
from contract.notice import JobError, Notice, notice_of_unreadable
from jobs.job import AlreadyFinished, Claim, ClaimDenied, Job
from queue_agent.aws.jobs import DynamoJobs
from queue_agent.aws.objects import S3Objects
from queue_agent.aws.queue import QueueMessage, SqsQueue
from queue_agent.content import with_content
from queue_agent.errors import (
    RETRYABLE_CODES,
    UNREADABLE_CODE,
    AttemptsExhausted,
    InternalError,
    LeaseLost,
    PlatformError,
    RetryableError,
    ServerError,
    StartedTooLate,
    StillRunning,
    TaskError,
    Throttled,
)
from queue_agent.execution import Execution
from queue_agent.job_context import JobContext
from queue_agent.lease import Lease, claim_job
from queue_agent.media import Media
from queue_agent.memory import MemoryBudget
from queue_agent.ports import Input, PreparedTask, Result
from queue_agent.previews import Previews
from queue_agent.results import Results
from queue_agent.scheduler.slots import Slot
from queue_agent.telemetry.recorder import Recorder
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
_FIRST_RETRY_S, _LAST_RETRY_S = 5, 60
_PATIENT_DELIVERIES = 20
_LAST_THROTTLED_S = 1800
_MAX_PAUSE_S = 20.0
"""So long at most a throttled job keeps its slot: no other takes its place, only to be throttled too."""
_JITTER_S = 5.0
_MAX_REASON_CHARS = 500
_PREPARE_S = 300.0
"""For reading a task's content and inputs and for its uploads, without the time it waits for memory."""
_STORE_S = 900.0
"""For all files of a job: a model server may send one for ever, byte by byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """Processes messages, several at a time."""

    queue: SqsQueue
    jobs: DynamoJobs
    execution: Execution
    fetch_inputs: Callable[[Sequence[Input], str | None], Awaitable[dict[str, Media]]]
    """Reads the inputs of a tenant's task."""
    store: S3Objects
    results: Results
    previews: Previews
    publish: Callable[[Notice], Awaitable[None]]
    """Sends a notice to all subscribers."""
    memory: MemoryBudget
    deadlines: Deadlines
    telemetry: Recorder

    async def process(self, message: QueueMessage, slot: Slot) -> None:
        """Bring a received message to its end: acked, released, or moved to the dead queue.

        Cancelling it interrupts the job and releases the message at once.
        """
        received_s = time.monotonic()
        try:
            parsed = await self._parse(message)
            if parsed is None:
                return
            task = parsed.task
            with self.memory.task(lambda inputs: self.fetch_inputs(inputs, task.metadata.tenant)) as memory:
                memory.has_content(len(message.body))
                job = JobContext(
                    id=parsed.job,
                    message=message,
                    received_s=received_s,
                    task=task,
                    traceparent=parsed.traceparent,
                    deadlines=self.deadlines.with_asked(task.metadata.deadlines),
                    slot=slot,
                    memory=memory,
                    telemetry=self.telemetry,
                )
                with job.recorded():
                    async with self._preparing(job) as preparation:
                        if claim := await self._claim(job):
                            await self._hold(job, claim, preparation)
            await asyncio.sleep(job.pause_s)
        finally:
            slot.leave()

    async def _hold(self, job: JobContext, claim: Claim, preparation: asyncio.Task[PreparedTask]) -> None:
        """Make an attempt under a lease that is kept meanwhile."""
        async with Lease(queue=self.queue, jobs=self.jobs, job=job, claim=claim) as lease:
            try:
                await self._attempt(job, lease, preparation)
            except LeaseLost as exc:
                logger.warning("dropped: %s", exc)
            except asyncio.CancelledError:
                # If the server was lost under the job, the job may be the cause, and the attempt counts.
                is_lost = self.execution.monitor.lost.is_set()
                reason = "The model server does not answer or hangs." if is_lost else None
                await uninterrupted(lease.release(blameless=not (lease.attempt_counts and is_lost), reason=reason))
                logger.info("released")
                raise

    async def _attempt(self, job: JobContext, lease: Lease, preparation: asyncio.Task[PreparedTask]) -> None:
        """Do everything that is left to do for the job; after a retryable error, release it."""
        try:
            notice = await self._find_stored(job, lease)
            if notice is None:
                try:
                    with lease.interruptible():
                        prepared = await self._prepared(job, lease, preparation)
                        async with self.previews.kept(job):
                            result = await self.execution.run(job, lease, prepared)
                    notice = await self._store(job, lease, result)
                except TaskError as exc:
                    logger.info("%s: %s", exc.status, exc.code)
                    lease.check()
                    notice = await self.results.store_error(job, exc)
            await self._complete(job, lease, notice)
            await self._notify(job, notice)
            await self._ack(job, notice.error)
            job.is_over = True
            seconds = {"seconds": round(time.monotonic() - job.received_s, 3), "run_s": job.timings_s.get("run")}
            logger.info("done", extra={"status": notice.status, "attempt": lease.attempts, **seconds})
        except RetryableError as exc:
            await self._release_or_give_up(job, lease, exc)
        except LeaseLost:
            raise
        except Exception as exc:
            # A bug must neither hide the message until its visibility ends nor be retried for ever.
            logger.exception("the agent failed")
            await self._release_or_give_up(job, lease, InternalError(f"The agent failed ({type(exc).__name__})."))

    async def _parse(self, message: QueueMessage) -> TaskMessage | None:
        """Read the message; None for one that this agent cannot read: it is released or moved to the dead queue.

        The caller of an unreadable message is notified where at least the task's id can be read.
        """
        try:
            return read_message(message.body, message_id=message.message_id, sent_ms=message.sent_ms)
        except NewerSchemaError as exc:
            logger.warning("released: %s", exc)
            await self.queue.release(message, self.queue.visibility_s)
        except UnreadableMessageError as exc:
            logger.error("unreadable message", extra={"message_id": message.message_id, "job": exc.job})  # noqa: TRY400
            if exc.task_id is not None:
                notice = notice_of_unreadable(
                    task_id=exc.task_id,
                    context=exc.context,
                    job=exc.job,
                    runtime=self.results.runtime_name,
                    problem=JobError(code=UNREADABLE_CODE, message=str(exc)),
                )
                await self.publish(notice)
            await self.queue.dead_letter(message, UNREADABLE_CODE, str(exc))
        return None

    async def _claim(self, job: JobContext) -> Claim | None:
        """Claim the job; None where there is nothing to run and the message is acked or released."""
        try:
            with job.stage("claim"):
                claim = await claim_job(self.jobs, self.queue, job)
        except PlatformError as exc:
            logger.warning("released: %s", exc)
            await self.queue.release(job.message, _backoff_s(job.message.deliveries))
            return None
        except asyncio.CancelledError:
            await uninterrupted(self.queue.release(job.message))
            raise
        match claim:
            case ClaimDenied(left_s=left_s):
                # The holder may have vanished, or could not release its lease; then nobody has the job.
                logger.info("the job's lease has not ended", extra={"left_s": round(left_s)})
                jitter_s = random.uniform(0, _JITTER_S)  # noqa: S311 (no secret)
                # No lease lasts longer than a message stays hidden: more is a clock that is behind.
                left_s = min(left_s, self.queue.visibility_s)
                await self.queue.release(job.message, int(left_s + jitter_s) + 1)
                return None
            case AlreadyFinished(job=ended):
                logger.info("found ended")
                await self._finish_up(job, ended)
                return None
        self.telemetry.annotate(attempt=claim.attempt)
        job.redrives, job.has_webhook = claim.redrives, claim.has_webhook
        return claim

    async def _finish_up(self, job: JobContext, ended: Job) -> None:
        """Notify and ack where the agent that completed the job did not."""
        job.redrives, job.has_webhook = ended.redrives, ended.webhook is not None
        if not ended.notified:
            stored = await self.results.find(job)
            # The manifest has the whole error, but the table says how the job ended.
            agrees = stored is not None and stored.status == ended.state.value
            await self._notify(job, stored if stored is not None and agrees else ended.notice(self.results.bucket))
        await self._ack(job, ended.error)

    @asynccontextmanager
    async def _preparing(self, job: JobContext) -> AsyncIterator[asyncio.Task[PreparedTask]]:
        """Prepare the task beside the context, so that the claim costs no time; clean up at the context's end."""
        preparation = asyncio.create_task(self._prepare(job), name="prepare")
        try:
            yield preparation
        finally:
            preparation.cancel()
            await asyncio.wait({preparation})
            if not preparation.cancelled() and preparation.exception() is None:
                self.execution.executor.discard(preparation.result(), over=job.is_over)

    async def _prepare(self, job: JobContext) -> PreparedTask:
        with job.stage("prepare"):
            try:
                async with job.memory.time_limit(_PREPARE_S):
                    task = await with_content(job.task, self.store, self.results.bucket, job.memory)
                    prepared = await self.execution.executor.prepare(task, job.memory)
            except TimeoutError as exc:
                raise InternalError(f"The task was not prepared within {_PREPARE_S:g} s.") from exc
            job.memory.is_prepared()
            return prepared

    async def _prepared(self, job: JobContext, lease: Lease, preparation: asyncio.Task[PreparedTask]) -> PreparedTask:
        """The prepared task, once it is there.

        Raises:
            StartedTooLate: The job waited for its first claim longer than it may.
        """
        claim = lease.claim
        # By AWS's clocks: the local one may have jumped. A job that waits after its first delivery is the keeper's.
        received_s = job.message.first_received_ms / 1000
        if claim.number == 1 and claim.redrives == 0 and received_s > claim.start_by_s:
            raise StartedTooLate(f"The job was not begun within {job.deadlines.start_s:g} s.")
        prepared = await preparation
        job.slot.prepared(prepared.work, partial(self.execution.server.progress, job.id))
        return prepared

    async def _find_stored(self, job: JobContext, lease: Lease) -> Notice | None:
        """The notice of a job that an earlier claim has run and stored.

        Raises:
            AttemptsExhausted: All attempts are used up, and none stored a result.
        """
        claim = lease.claim
        if claim.number > 1 and (notice := await self.results.find(job)):
            logger.info("found done; the notice is repeated")
            return notice
        if claim.attempt > MAX_ATTEMPTS:
            raise AttemptsExhausted(f"The job was begun {claim.attempt - 1} times, and each time its agent vanished.")
        return None

    async def _store(self, job: JobContext, lease: Lease, result: Result) -> Notice:
        lease.check()
        job.memory.has_result(result)
        with job.stage("store"):
            try:
                async with asyncio.timeout(_STORE_S):
                    return await self.results.store(job, result)
            except TimeoutError as exc:
                raise ServerError(f"The job's files were not stored within {_STORE_S:g} s.") from exc

    async def _complete(self, job: JobContext, lease: Lease, notice: Notice) -> None:
        """Write the job's final state. The notice follows: no one may hear of an end that could still change."""
        with job.stage("finish"):
            await lease.complete(notice)
        self.telemetry.job_ended(notice.status, notice.error.code if notice.error else None)

    async def _notify(self, job: JobContext, notice: Notice) -> None:
        with job.stage("notify"):
            await self.publish(notice)
            await self.jobs.notified(notice.job)

    async def _ack(self, job: JobContext, error: JobError | None) -> None:
        """Delete the message; one whose job failed through no fault of its own is kept in the dead queue."""
        if error is not None and error.code in RETRYABLE_CODES:
            await self.queue.dead_letter(job.message, error.code, error.message)
        else:
            await self.queue.delete(job.message)

    async def _release_or_give_up(self, job: JobContext, lease: Lease, error: RetryableError) -> None:
        """Release the job for another attempt after a while; fail it when there were enough."""
        if error.counts:
            # A task that fails before the server receives it must not be tried for ever.
            lease.attempt_started()
            lease.attempt_ended()
        if isinstance(error, StillRunning):
            logger.info("released while the service works on it", extra={"retry_in_s": error.delay_s})
            await lease.release(delay_s=error.delay_s, blameless=True)
            return
        counted = lease.attempt_counts and not isinstance(error, Throttled)
        attempt = lease.claim.attempt
        if isinstance(error, AttemptsExhausted) or (counted and attempt >= MAX_ATTEMPTS):
            # Everything but the notice may have been done before, and a job has one end.
            notice = await self.results.find(job)
            if notice is None:
                logger.error("given up: %s", error, extra={"attempt": attempt})
                notice = await self.results.store_error(job, error)
            await self._complete(job, lease, notice)
            await self._notify(job, notice)
            await self._ack(job, notice.error)
            return
        if isinstance(error, Throttled):
            delay_s = _throttled_s(job.message.deliveries)
            job.pause_s = min(delay_s, _MAX_PAUSE_S)
        else:
            delay_s = _backoff_s(attempt if counted else job.message.deliveries)
        self.telemetry.retried(error.code)
        logger.warning("released: %s", error, extra={"attempt": attempt, "retry_in_s": delay_s})
        await lease.release(delay_s=delay_s, blameless=not counted, reason=str(error)[:_MAX_REASON_CHARS])


def _backoff_s(attempt: int) -> int:
    """Seconds to wait after so many attempts: 5, then twice as many each time, 60 at most."""
    return min(_FIRST_RETRY_S << min(attempt - 1, 10), _LAST_RETRY_S)


def _throttled_s(deliveries: int) -> int:
    """Seconds until a throttled job is tried again: half to all of the backoff, so that not all come back together.

    From the 20th delivery on it waits a minute longer each time, up to half an hour: the deliveries that its queue
    allows last for a day of throttling.
    """
    patience_s = 60 * max(0, deliveries - _PATIENT_DELIVERIES)
    delay_s = min(_backoff_s(deliveries) + patience_s, _LAST_THROTTLED_S)
    return round(random.uniform(0.5, 1) * delay_s)  # noqa: S311 (no secret)
