"""Retries a failed job: first in the table, then in the queue, and only then is its message forgotten."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from botocore.exceptions import ClientError

from deploy.redrive.queues import DeadMessage, Queues
from jobs.record import JobRecord, JobState
from jobs.requests import CLOCK_MARGIN_S, JobsTable


class Step(Enum):
    """What is done with a message of the dead queue."""

    BEGIN = "begin"
    SEND = "send"
    DROP = "drop"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done with a message, and why."""

    step: Step
    why: str


_UNREADABLE = Verdict(Step.LEAVE, "left: it holds no task that can be read")
_BEGUN = Verdict(Step.BEGIN, "retried")


class Redrive:
    """Redrives the messages of one runtime. Calls raise botocore's errors when AWS does not answer.

    After a crash between any two steps a second run goes on: the message is still in the dead queue, and a job that
    is queued already is sent without being reset once more. At worst the queue then has it twice, and an agent
    drops the second.

    Args:
        queues: The runtime's queues.
        dynamodb: A boto3 client.
        table: The jobs table's name.
        start_s: How long a job that is retried may wait for an agent.
        clock: Seconds since 1970.
    """

    def __init__(
        self, queues: Queues, *, dynamodb: Any, table: str, start_s: float, clock: Callable[[], float]
    ) -> None:
        self._queues = queues
        self._dynamodb = dynamodb
        self._requests = JobsTable(table)
        self._start_s = start_s
        self._clock = clock
        self._sent: set[str] = set()

    def foresee(self, message: DeadMessage) -> Verdict:
        """What ``drive`` would do; nothing is changed."""
        if message.delivery is None:
            return _UNREADABLE
        item = self._dynamodb.get_item(**self._requests.get(message.delivery.job)).get("Item")
        return self._verdict(None if item is None else JobRecord.from_item(item))

    def drive(self, message: DeadMessage) -> Verdict:
        """Retry a message's job, or do what is right where that cannot be."""
        if message.delivery is None:
            verdict = _UNREADABLE
        elif (job := message.delivery.job) in self._sent:
            verdict = Verdict(Step.DROP, "dropped: the same job was sent just now")
        else:
            verdict = self._begin(job)
            if verdict.step in (Step.BEGIN, Step.SEND):
                self._queues.send(message.delivery, message.body)
                self._sent.add(job)
        if verdict.step is Step.LEAVE:
            self._queues.release(message)
        else:
            self._queues.delete(message)
        return verdict

    def _begin(self, job: str) -> Verdict:
        request = self._requests.redrive(job, now_s=self._clock(), start_s=self._start_s)
        try:
            self._dynamodb.update_item(**request | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"})
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            item = exc.response.get("Item")
            return self._verdict(None if item is None else JobRecord.from_item(item))
        return _BEGUN

    def _verdict(self, record: JobRecord | None) -> Verdict:
        now_s = self._clock()
        if record is None:
            return Verdict(Step.SEND, "sent: the table does not know the job")
        match record.state:
            case JobState.FAILED:
                return _BEGUN
            case JobState.SUCCEEDED | JobState.CANCELLED:
                return Verdict(Step.DROP, f"dropped: the job has {_ENDS[record.state]}")
            case JobState.RUNNING if record.lease_left_s(now_s - CLOCK_MARGIN_S) > 0:
                return Verdict(Step.LEAVE, "left: an agent has the job")
            case JobState.ACCEPTED | JobState.QUEUED if record.due_s is not None and record.due_s <= now_s:
                return Verdict(Step.LEAVE, "left: the job is overdue and about to fail; try again in a minute")
            case _:
                return Verdict(Step.SEND, "sent: the job waited for its message")


_ENDS = {JobState.SUCCEEDED: "succeeded meanwhile", JobState.CANCELLED: "been cancelled"}
