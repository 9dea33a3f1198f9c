"""Retries a failed job: first in the table, then in the queue, and only then is its message deleted."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from deploy.redrive.dead_queue import DeadMessage, DeadQueue
from jobs import commands
from jobs.commands import CLOCK_MARGIN_S
from jobs.job import Job, JobState
from jobs.store import JobStore


class Decision(Enum):
    """What is done with a message of the dead queue, and why."""

    RETRY = "retried"
    SEND_UNKNOWN = "sent: the table does not know the job"
    SEND_WAITING = "sent: the job waited for its message"
    DROP_SENT = "dropped: the same job was sent just now"
    DROP_SUCCEEDED = "dropped: the job has succeeded meanwhile"
    DROP_CANCELLED = "dropped: the job has been cancelled"
    LEAVE_UNREADABLE = "left: it holds no task that can be read"
    LEAVE_RUNNING = "left: an agent has the job"
    LEAVE_OVERDUE = "left: the job is overdue and about to fail; try again in a minute"

    @property
    def is_sent(self) -> bool:
        """Whether the message goes back to the runtime's queue."""
        return self.name.startswith(("RETRY", "SEND"))

    @property
    def is_left(self) -> bool:
        """Whether the message stays in the dead queue."""
        return self.name.startswith("LEAVE")


_ENDED = {
    JobState.FAILED: Decision.RETRY,
    JobState.SUCCEEDED: Decision.DROP_SUCCEEDED,
    JobState.CANCELLED: Decision.DROP_CANCELLED,
}


class Redrive:
    """Redrives the messages of one runtime. Calls raise botocore's errors when AWS does not answer.

    After a crash between any two steps a second run goes on: the message is still in the dead queue, and a job that
    is queued already is sent without being reset once more. At worst the queue then has it twice, and an agent
    drops the second. A job that is retried may wait ``start_s`` seconds for an agent.
    """

    def __init__(
        self, queue: DeadQueue, *, dynamodb: Any, table: str, start_s: float, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._jobs = JobStore(dynamodb, table)
        self._start_s = start_s
        self._clock = clock
        self._sent: set[str] = set()

    def plan(self, message: DeadMessage) -> Decision:
        """What ``run`` would do; nothing is changed."""
        if message.delivery is None:
            return Decision.LEAVE_UNREADABLE
        return self._decide(self._jobs.get(message.job))

    def run(self, message: DeadMessage) -> Decision:
        """Retry a message's job, or do what is right where that cannot be."""
        if message.delivery is None:
            decision = Decision.LEAVE_UNREADABLE
        elif message.job in self._sent:
            decision = Decision.DROP_SENT
        else:
            decision = self._reset(message.job)
            if decision.is_sent:
                self._queue.send_back(message.delivery, message.body)
                self._sent.add(message.job)
        if decision.is_left:
            self._queue.release(message)
        else:
            self._queue.delete(message)
        return decision

    def _reset(self, job: str) -> Decision:
        """Set a failed job to queued; where it is not failed, decide by its state."""
        change = self._jobs.run(commands.redrive(job, now_s=self._clock(), start_s=self._start_s))
        return Decision.RETRY if change.done else self._decide(change.job)

    def _decide(self, job: Job | None) -> Decision:
        if job is None:
            return Decision.SEND_UNKNOWN
        now_s = self._clock()
        if job.state in _ENDED:
            return _ENDED[job.state]
        if job.state is JobState.RUNNING:
            is_held = job.lease_left_s(now_s - CLOCK_MARGIN_S) > 0
            return Decision.LEAVE_RUNNING if is_held else Decision.SEND_WAITING
        is_overdue = job.due_s is not None and job.due_s <= now_s
        return Decision.LEAVE_OVERDUE if is_overdue else Decision.SEND_WAITING
