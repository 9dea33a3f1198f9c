"""How messages end: their job concluded and told of, given back for another try, or kept in the dead queue."""

import dataclasses
import logging
from dataclasses import dataclass

from contract.deadlines import Deadlines
from contract.notice import JobError, Notice, notice_of_unreadable
from jobs.record import JobRecord
from queue_agent.errors import PASSING_CODES, AttemptsExhausted, RetryableError, Throttled, UnreadableMessage
from queue_agent.lease import Lease
from queue_agent.memory import TaskMemory
from queue_agent.message import Assignment
from queue_agent.ports import Jobs, Notices, Queue, QueueMessage, Telemetry
from queue_agent.results import Results
from queue_agent.stages import Stages

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
_FIRST_RETRY_S = 5
_LAST_RETRY_S = 60


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job on its way.

    Attributes:
        message: The message that brought it.
        assignment: What the message says.
        deadlines: How long it may take.
        stages: What has been measured of it.
        memory: What it holds.
    """

    message: QueueMessage
    assignment: Assignment
    deadlines: Deadlines
    stages: Stages
    memory: TaskMemory

    def in_generation(self, generation: int) -> "ClaimedJob":
        """The same job, begun anew so often: its results have names of their own."""
        return dataclasses.replace(self, assignment=dataclasses.replace(self.assignment, generation=generation))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """Ends messages.

    Attributes:
        queue: Where they come from.
        jobs: Who has which job.
        notices: Where notices go.
        results: Where a failed job's manifest goes.
        runtime_name: The runtime this agent belongs to.
        bucket: The output bucket.
        telemetry: Is told how jobs end.
    """

    queue: Queue
    jobs: Jobs
    notices: Notices
    results: Results
    runtime_name: str
    bucket: str
    telemetry: Telemetry

    async def conclude(self, job: ClaimedJob, lease: Lease, notice: Notice) -> None:
        """End a job, then tell of it: nobody may hear of an ending that another agent could still change.

        Raises:
            LeaseLost: It is another agent's by now.
        """
        with job.stages("finish"):
            await lease.finish(notice, job.stages.seconds)
        self.telemetry.job_ended(notice.status, notice.error.code if notice.error else None)
        with job.stages("notify"):
            await self._tell(notice)
        await self._dismiss(job.message, notice.error)

    async def settle(self, message: QueueMessage, assignment: Assignment, record: JobRecord) -> None:
        """Do what whoever ended a job may have left undone: tell of it, and keep or delete its message."""
        if not record.notified:
            stored = await self.results.find(dataclasses.replace(assignment, generation=record.generation))
            # The manifest has the whole error; but it is the table that says how the job has ended.
            agrees = stored is not None and stored.status == record.state.value
            await self._tell(stored if stored is not None and agrees else record.notice(self.bucket))
        await self._dismiss(message, record.error)

    async def retry_or_bury(self, job: ClaimedJob, lease: Lease, fault: RetryableError) -> None:
        """Give a job back to be tried again after a while; one that was tried often enough is given up.

        Raises:
            LeaseLost: It is another agent's by now.
        """
        counted = not isinstance(fault, Throttled) and (lease.begun or not self.jobs.authoritative)
        attempt = lease.claim.attempt
        if isinstance(fault, AttemptsExhausted) or (counted and attempt >= MAX_ATTEMPTS):
            await self._bury(job, lease, fault)
            return
        delay_s = backoff_s(attempt if counted else job.message.receive_count)
        self.telemetry.retried(fault.code)
        logger.warning("given back: %s", fault, extra={"attempt": attempt, "retry_in_s": delay_s})
        await lease.hand_back(delay_s=delay_s, blameless=not counted, start_s=job.deadlines.start_s)

    async def bury_unreadable(self, message: QueueMessage, fault: UnreadableMessage) -> None:
        """Keep a message that cannot be read; whoever can be told by it is told."""
        logger.error("unreadable message", extra={"message_id": message.message_id, "job": fault.job})
        if fault.task_id is not None:
            await self.notices.publish(
                notice_of_unreadable(
                    task_id=fault.task_id,
                    context=fault.context,
                    job=fault.job,
                    runtime=self.runtime_name,
                    problem=JobError(code=fault.code, message=str(fault)),
                )
            )
        await self.queue.bury(message, fault.code, str(fault))

    async def _bury(self, job: ClaimedJob, lease: Lease, fault: RetryableError) -> None:
        # All but the notice may have been done before: a job has one ending, and no second one may be told.
        notice = await self.results.find(job.assignment)
        if notice is None:
            logger.error("given up: %s", fault, extra={"attempt": lease.claim.attempt})
            notice = await self.results.store_failure(job.assignment, fault)
        await self.conclude(job, lease, notice)

    async def _tell(self, notice: Notice) -> None:
        await self.notices.publish(notice)
        await self.jobs.notified(notice.job)

    async def _dismiss(self, message: QueueMessage, error: JobError | None) -> None:
        """Delete the message of a job that has ended; one given up for no fault of its own is kept for redrive."""
        if error is not None and error.code in PASSING_CODES:
            await self.queue.bury(message, error.code, error.message)
        else:
            await self.queue.delete(message)


def backoff_s(attempt: int) -> int:
    """How long to wait after so many attempts: 5 s, then twice as long each time, at most 60 s."""
    return min(_FIRST_RETRY_S << min(attempt - 1, 10), _LAST_RETRY_S)
