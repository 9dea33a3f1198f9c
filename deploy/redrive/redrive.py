"""Retries a failed job: first in the table, then in the queue, and only then is its message deleted."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import error_code
from deploy.redrive.dead_queue import DeadMessage, DeadQueue
from jobs.record import JobRecord, JobState
from jobs.requests import CLOCK_MARGIN_S, JobsTable


class Action(Enum):
    """What is done with a message of the dead queue."""

    RETRY = "retry"
    SEND = "send"
    DROP = "drop"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with a message, and why."""

    action: Action
    why: str


_UNREADABLE = Decision(Action.LEAVE, "left: it holds no task that can be read")
_ENDS = {JobState.SUCCEEDED: "succeeded meanwhile", JobState.CANCELLED: "been cancelled"}


class Redrive:
    """Redrives the messages of one runtime. Calls raise botocore's errors when AWS does not answer.

    After a crash between any two steps a second run goes on: the message is still in the dead queue, and a job that
    is queued already is sent without being reset once more. At worst the queue then has it twice, and an agent
    drops the second.

    Args:
        queue: The runtime's dead queue.
        dynamodb: A boto3 client.
        table: The jobs table's name.
        start_s: How long a job that is retried may wait for an agent.
        clock: Seconds since 1970.
    """

    def __init__(
        self, queue: DeadQueue, *, dynamodb: Any, table: str, start_s: float, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._dynamodb = dynamodb
        self._requests = JobsTable(table)
        self._start_s = start_s
        self._clock = clock
        self._sent: set[str] = set()

    def plan(self, message: DeadMessage) -> Decision:
        """What ``run`` would do; nothing is changed."""
        if message.delivery is None:
            return _UNREADABLE
        return self._decide(self._dynamodb.get_item(**self._requests.get(message.job)).get("Item"))

    def run(self, message: DeadMessage) -> Decision:
        """Retry a message's job, or do what is right where that cannot be."""
        if message.delivery is None:
            decision = _UNREADABLE
        elif message.job in self._sent:
            decision = Decision(Action.DROP, "dropped: the same job was sent just now")
        else:
            decision = self._reset(message.job)
            if decision.action in {Action.RETRY, Action.SEND}:
                self._queue.send_back(message.delivery, message.body)
                self._sent.add(message.job)
        if decision.action is Action.LEAVE:
            self._queue.release(message)
        else:
            self._queue.delete(message)
        return decision

    def _reset(self, job: str) -> Decision:
        """Set a failed job to queued; where it is not failed, decide by its item."""
        request = self._requests.redrive(job, now_s=self._clock(), start_s=self._start_s)
        try:
            self._dynamodb.update_item(**request | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"})
        except ClientError as exc:
            if error_code(exc) != "ConditionalCheckFailedException":
                raise
            return self._decide(exc.response.get("Item"))
        return Decision(Action.RETRY, "retried")

    def _decide(self, item: dict[str, Any] | None) -> Decision:
        if item is None:
            return Decision(Action.SEND, "sent: the table does not know the job")
        record, now_s = JobRecord.from_item(item), self._clock()
        match record.state:
            case JobState.FAILED:
                return Decision(Action.RETRY, "retried")
            case JobState.SUCCEEDED | JobState.CANCELLED:
                return Decision(Action.DROP, f"dropped: the job has {_ENDS[record.state]}")
            case JobState.RUNNING if record.lease_left_s(now_s - CLOCK_MARGIN_S) > 0:
                return Decision(Action.LEAVE, "left: an agent has the job")
            case JobState.ACCEPTED | JobState.QUEUED if record.due_s is not None and record.due_s <= now_s:
                return Decision(Action.LEAVE, "left: the job is overdue and about to fail; try again in a minute")
            case _:
                return Decision(Action.SEND, "sent: the job waited for its message")
