"""An agent's hold on a job: the claim that takes it, and the lease that keeps it and hides its message meanwhile.

A job that takes longer than 2 s is checked once a second: if its progress has changed, it is written, else the agent
reads whether its caller wants it cancelled. A minute of such a job costs at most 60 write units for each KiB of its
item, or 30 read units if nothing changes: 0.004 and 0.0004 cents (us-east-1, on demand, 2026). A minute of a GPU costs
about a cent.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Self

from contract.notice import Notice
from jobs.job import Claim, Progress
from queue_agent.aws.jobs import ClaimAnswer, DynamoJobs
from queue_agent.aws.queue import SqsQueue
from queue_agent.errors import Cancelled, LeaseLost, PlatformError
from queue_agent.job_context import JobContext
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)

_MARGIN_S = 5.0
"""A lease ends this long before the message is delivered again."""
_MARGIN_SHARE = 1 / 6
"""Upper limit of the margin, as a fraction of a short visibility timeout."""
_EARLY_BEAT_S = 1.0
"""An attempt that has lasted this long is written to the table at once, in case the whole node vanishes. A shorter one
is written when it ends."""
_LONG_S = 2.0
_LOOK_S = 1.0
_ANSWER_S = 1.0
"""A model server has this long to report a job's progress; else the agent asks again at the next check."""
_LOOK_LIMIT_S = 3.0
"""A check that takes longer is stopped, so that it does not delay the next renewal."""
_FIRST_RETRY_S = 0.5
_RELEASE_S = 5.0
_UNDO_S = 2.0


def lease_s(visibility_s: float) -> float:
    """Return the length of a lease, in seconds after its message was received or renewed."""
    return visibility_s - min(_MARGIN_S, _MARGIN_SHARE * visibility_s)


async def claim_job(jobs: DynamoJobs, queue: SqsQueue, job: JobContext) -> ClaimAnswer:
    """Claim a job, unless the lease would end before it is granted. If this call is cancelled, the claim is undone.

    Raises:
        PlatformError: The jobs table does not answer, or not in time.
    """
    left_s = lease_s(queue.visibility_s) - (time.monotonic() - job.received_s)
    claiming = asyncio.create_task(
        jobs.claim(job.task, job.id, job.message, lease_s=left_s, start_s=job.deadlines.start_s), name="claim"
    )
    try:
        async with asyncio.timeout(left_s):
            return await asyncio.shield(claiming)
    except TimeoutError as exc:
        await uninterrupted(_undo(jobs, claiming, job))
        raise PlatformError("The jobs table did not answer before the lease would have ended.") from exc
    except asyncio.CancelledError:
        await uninterrupted(_undo(jobs, claiming, job))
        raise


async def _undo(jobs: DynamoJobs, claiming: asyncio.Task[ClaimAnswer], job: JobContext) -> None:
    """Release a job whose claim is still being made: once granted, it would block other agents."""
    try:
        async with asyncio.timeout(_UNDO_S):
            claim = await claiming
            if isinstance(claim, Claim):
                attempts = claim.attempt - 1
                await jobs.release(job.id, claim, attempts=attempts, blameless=True, start_s=job.deadlines.start_s)
    except (PlatformError, LeaseLost, TimeoutError) as exc:
        logger.warning("the lease was not released: %s", str(exc) or "no answer in time")


class LeaseState(Enum):
    """What may be done under a lease."""

    HELD = auto()
    CANCELLING = auto()
    """The job must be cancelled: it is interrupted, and its end may be written."""
    COMPLETING = auto()
    """The job's end is being written, after which there is no lease to renew."""
    LOST = auto()
    """Another agent may have the job: nothing may be written."""


class Lease:
    """Keeps a job for as long as the context lasts.

    It starts when the job's message is received. Time is monotonic: a clock that jumps neither ends nor extends it.

    Attributes:
        attempt_counts: Whether the claim counts as an attempt: the model server received the job.
    """

    def __init__(self, *, queue: SqsQueue, jobs: DynamoJobs, job: JobContext, claim: Claim) -> None:
        self.claim = claim
        self.attempt_counts = False
        self._queue = queue
        self._jobs = jobs
        self._job = job
        self._lease_s = lease_s(queue.visibility_s)
        self._ends_s = job.received_s + self._lease_s
        self._state = LeaseState.CANCELLING if claim.cancel_requested else LeaseState.HELD
        self._interruptible: asyncio.Task[Any] | None = None
        self._early_beat: asyncio.TimerHandle | None = None
        self._woken = asyncio.Event()
        self._began_s: float | None = None
        self._written = Progress()

    async def __aenter__(self) -> Self:
        self._heartbeat = asyncio.create_task(self._beat(), name="heartbeat")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end_heartbeat()

    @property
    def attempts(self) -> int:
        """Number of attempts at the job so far."""
        return self.claim.attempt if self.attempt_counts else self.claim.attempt - 1

    def attempt_started(self) -> None:
        """Note that the model server received the job."""
        if not self.attempt_counts:
            self.attempt_counts = True
            self._began_s = time.monotonic()
            self._early_beat = asyncio.get_running_loop().call_later(_EARLY_BEAT_S, self._woken.set)

    def attempt_ended(self) -> None:
        """Note that the job has left the model server. A short attempt is written with the job's end or release."""
        if self._early_beat is not None:
            self._early_beat.cancel()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Interrupt the context if the job must be cancelled or the lease is lost.

        Raises:
            Cancelled: The cancellation was requested.
            LeaseLost: Another agent has the job, or may have it soon.
        """
        task = self._interruptible = asyncio.current_task()
        try:
            self._raise_interruption()
            yield
        except asyncio.CancelledError:
            if self._state is not LeaseState.HELD and task is not None and task.uncancel() == 0:
                self._raise_interruption()
            raise
        finally:
            self._interruptible = None

    def _raise_interruption(self) -> None:
        if self._state is LeaseState.CANCELLING:
            raise Cancelled
        if self._state is LeaseState.LOST:
            raise LeaseLost

    def check(self) -> None:
        """Check that this agent still has the job, before something is stored.

        Raises:
            LeaseLost: Another agent may have it.
        """
        if self._state is LeaseState.LOST or time.monotonic() >= self._ends_s:
            raise LeaseLost

    async def complete(self, notice: Notice) -> None:
        """Write the job's final state.

        Raises:
            LeaseLost: Another agent has the job.
        """
        self._state = LeaseState.COMPLETING
        job = self._job
        await self._jobs.complete(
            job.id, self.claim, notice, attempts=self.attempts, stages_s=job.timings_s, outputs=job.outputs
        )

    async def release(self, *, delay_s: int = 0, blameless: bool, reason: str | None = None) -> None:
        """Return the job to the queue; another agent gets it after the delay.

        ``blameless`` means that the job did not cause the release, so this attempt does not count. ``reason`` tells its
        caller why this attempt has no result.
        """
        await self._end_heartbeat()  # or it could hide the message again
        attempts = self.claim.attempt - 1 if blameless else self.attempts
        start_s = delay_s + self._job.deadlines.start_s
        try:
            async with asyncio.timeout(_RELEASE_S):
                await self._jobs.release(
                    self._job.id, self.claim, attempts=attempts, blameless=blameless, start_s=start_s, reason=reason
                )
        except (LeaseLost, PlatformError, TimeoutError) as exc:
            # The message counts: the agent that receives it waits for the rest of the lease.
            logger.warning("the lease was not released: %s", str(exc) or "no answer in time")
        await self._queue.release(self._job.message, delay_s)

    async def _end_heartbeat(self) -> None:
        self._heartbeat.cancel()
        await asyncio.wait({self._heartbeat})

    async def _beat(self) -> None:
        """Renew the lease, and check a long job in between. Calls are made one at a time, so that none overtakes."""
        period_s = self._queue.visibility_s / 3
        due_s, retry_s = self._ends_s - self._lease_s + period_s, _FIRST_RETRY_S
        look_s = time.monotonic() + _LONG_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(due_s, look_s) - time.monotonic()):
                    await self._woken.wait()
            is_due = self._woken.is_set() or time.monotonic() >= due_s
            self._woken.clear()
            try:
                if not is_due:
                    is_seen = await self._look()
                    look_s = time.monotonic() + _LOOK_S if is_seen else due_s
                    continue
                async with asyncio.timeout(self._ends_s - time.monotonic()):
                    await self._renew()
            except LeaseLost as exc:
                self._interrupt(LeaseState.LOST, str(exc))
                return
            except Exception as exc:
                # A heartbeat that ends silently would lose the job's pictures.
                unforeseen = not isinstance(exc, PlatformError | TimeoutError)
                logger.warning("the lease was not renewed: %s", str(exc) or "no answer in time", exc_info=unforeseen)
                if time.monotonic() >= self._ends_s:
                    self._interrupt(LeaseState.LOST, str(LeaseLost()))
                    return
                due_s, retry_s = min(time.monotonic() + retry_s, self._ends_s), 2 * retry_s
            else:
                due_s, retry_s = time.monotonic() + period_s, _FIRST_RETRY_S
                look_s = max(look_s, time.monotonic() + _LOOK_S)

    async def _renew(self) -> None:
        start_s = time.monotonic()
        await self._write(self._lease_s, await self._change())
        try:
            await self._queue.extend(self._job.message)
        except PlatformError as exc:
            logger.warning("the message's visibility was not renewed: %s", exc)
        self._ends_s = start_s + self._lease_s

    async def _look(self) -> bool:
        """Write the job's progress and check whether it must be cancelled. Returns whether that succeeded.

        This does not extend the lease: to keep the job, its message must stay hidden for longer, too.

        Raises:
            LeaseLost: Another agent has the job.
        """
        if self._interruptible is None or self._state is not LeaseState.HELD:
            return True
        try:
            async with asyncio.timeout(min(_LOOK_LIMIT_S, (self._ends_s - time.monotonic()) / 3)):
                is_long = self._began_s is not None and time.monotonic() >= self._began_s + _LONG_S
                if is_long and (change := await self._change()):
                    await self._write(self._ends_s - time.monotonic(), change)
                elif await self._jobs.cancel_requested(self._job.id):
                    self._interrupt(LeaseState.CANCELLING, str(Cancelled()))
        except LeaseLost:
            raise
        except Exception as exc:
            unforeseen = not isinstance(exc, PlatformError | TimeoutError)
            words = "the caller's wish to cancel the job is seen late: %s"
            logger.warning(words, str(exc) or "no answer in time", exc_info=unforeseen)
            return False
        return True

    async def _write(self, lease_s: float, progress: Progress | None) -> None:
        try:
            cancelled = await self._jobs.renew(
                self._job.id, self.claim, lease_s=lease_s, attempts=self.attempts, progress=progress
            )
        except LeaseLost:
            # A completed job has no lease, but its message must stay hidden until its notice is sent.
            if self._state is not LeaseState.COMPLETING:
                raise
            return
        if progress is not None:
            self._written = progress
        if cancelled:
            self._interrupt(LeaseState.CANCELLING, str(Cancelled()))

    async def _change(self) -> Progress | None:
        """The job's progress, in whole percent; None if the table already has it."""
        written = progress = self._written
        if self.attempt_counts:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    progress = await self._job.slot.progress() or written
        if progress.fraction is not None:
            progress = replace(progress, fraction=round(progress.fraction, 2))
        progress = replace(progress, previewed_s=self._job.previewed_s)
        return None if progress == written else progress

    def _interrupt(self, state: LeaseState, reason: str) -> None:
        if self._state is LeaseState.HELD:
            self._state = state
            logger.warning("the job is stopped: %s", reason)
            if self._interruptible is not None:
                self._interruptible.cancel()
        elif self._state is LeaseState.CANCELLING:
            self._state = state
