"""A job: what the platform knows of one run of a task, for as long as its results are kept.

Its item in the table holds no prompt, but all that a notice needs, so that any part that ends a job can notify.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from contract import strict_json
from contract.deadlines import AskedDeadlines
from contract.notice import JobError, Notice
from contract.objects import ResultNames, s3_url
from jobs.dynamodb import Item, read_values


class JobState(StrEnum):
    """Where a job is."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. Times are seconds since 1970.

    Attributes:
        id: The job's id.
        state: Where it is.
        task_id: The caller's name for the task.
        runtime: The runtime that does it.
        tasktype: What kind of task it is.
        tenant: Whose it is; None of a foreign message.
        deadlines: The deadlines it asks for.
        prefix: First part of its results' keys.
        context: The caller's own JSON.
        created_s: When it was accepted.
        start_by_s: By when an agent must claim it, and again after its agent has vanished; None of an item that an
            earlier version wrote.
        attempts: How often a model server got it.
        releases: How often it was released for no fault of its own.
        claims: How often an agent claimed it.
        redrives: How often an operator began it again after it had failed.
        lease_until_s: When its agent's lease ends; None where no agent has it.
        cancel_requested: Whether its agent must stop it.
        notified: Whether its notice was sent.
        pictures: The extension of each picture, in order; ``notice`` makes the keys of them.
        has_manifest: Whether the runtime's answer was stored.
        error: Why it failed.
        due_s: When the keeper must look at it; None when never.
    """

    id: str
    state: JobState
    task_id: str
    runtime: str
    tasktype: str
    tenant: str | None
    deadlines: AskedDeadlines | None
    prefix: str
    context: Any
    created_s: float
    start_by_s: float | None
    attempts: int
    releases: int
    claims: int
    redrives: int
    lease_until_s: float | None
    cancel_requested: bool
    notified: bool
    pictures: tuple[str, ...]
    has_manifest: bool
    error: JobError | None
    due_s: float | None

    @classmethod
    def from_item(cls, item: Item) -> Self:
        """Read an item.

        Raises:
            KeyError, ValueError: It is no job.
        """
        values = read_values(item)
        code, deadlines = values.get("error_code"), values.get("deadlines")
        return cls(
            id=values["pk"],
            state=JobState(values["state"]),
            task_id=values["task_id"],
            runtime=values["runtime"],
            tasktype=values["tasktype"],
            tenant=values.get("tenant"),
            deadlines=None if deadlines is None else AskedDeadlines.model_validate_json(deadlines),
            prefix=values["prefix"],
            context=strict_json.loads(values["context"]),
            created_s=values["created_at"],
            start_by_s=values.get("start_by"),
            attempts=int(values.get("attempts", 0)),
            releases=int(values.get("hand_backs", 0)),
            claims=int(values.get("claims", 0)),
            redrives=int(values.get("generation", 0)),
            lease_until_s=values.get("lease_until"),
            cancel_requested=values.get("cancel_requested", False),
            notified="notified_at" in values,
            pictures=tuple(filter(None, values.get("pictures", "").split(","))),
            has_manifest=values.get("has_manifest", False),
            error=None if code is None else JobError(code=code, message=values.get("error_message", "")),
            due_s=values.get("due_at"),
        )

    def lease_left_s(self, now_s: float) -> float:
        """Seconds until its agent's lease ends; 0 when no agent has it."""
        return 0.0 if self.lease_until_s is None else max(0.0, self.lease_until_s - now_s)

    def notice(self, bucket: str) -> Notice:
        """The notice of a job that has ended.

        Args:
            bucket: The output bucket.
        """
        names = ResultNames(prefix=self.prefix, task_id=self.task_id, job=self.id)
        keys = (names.picture_key(number, extension) for number, extension in enumerate(self.pictures, start=1))
        return Notice(
            id=self.task_id,
            result=self.state is JobState.SUCCEEDED,
            image_url=[s3_url(bucket, key) for key in keys],
            output_url=s3_url(bucket, names.answer_key) if self.has_manifest else None,
            context=self.context,
            job=self.id,
            runtime=self.runtime,
            status=self.state.value,
            error=self.error,
            tenant=self.tenant,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An agent's claim on a job.

    Attributes:
        token: What the lease is proved with.
        number: Which claim of this job it is, from 1: whatever an earlier one left has another number.
        attempt: Which attempt begins when the model server gets the job, from 1.
        redrives: How often an operator began the job again after it had failed.
        start_by_s: By when the job was to be begun, seconds since 1970.
        start_s: How long another agent has to claim the job, should this one vanish.
        cancel_requested: Whether the job must be ended instead of run.
    """

    token: str
    number: int
    attempt: int
    redrives: int
    start_by_s: float
    start_s: float
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class ClaimDenied:
    """A lease on the job has not ended: another agent may have it, for so many seconds at least."""

    left_s: float


@dataclass(frozen=True, slots=True)
class AlreadyFinished:
    """The job had ended before it was claimed."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """What became of a conditional update.

    Attributes:
        done: Whether the condition held.
        item: The job's item after the update, or as it is where the update was refused; None where there is none.
    """

    done: bool
    item: Item | None

    @property
    def job(self) -> Job | None:
        """The job that the item holds."""
        return None if self.item is None else Job.from_item(self.item)


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a caller's Idempotency-Key stands for: a job, and the request that it was made of."""

    job: str
    body_sha256: str
