"""A job's item in the jobs table: what the platform knows of a job, for as long as its results are kept.

The item holds no prompt. What stands in it is what a notice needs, so that whoever ends a job can tell of it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from contract import strict_json
from contract.deadlines import AskedDeadlines
from contract.notice import JobError, Notice
from contract.objects import ResultNames, s3_url
from jobs.attributes import Item, read_values


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
class JobRecord:
    """One job.

    Attributes:
        job: The job's id.
        state: Where it is.
        task_id: The caller's name for the task.
        runtime: The runtime that does it.
        tasktype: What kind of task it is.
        tenant: Whose it is; None of a foreign message.
        deadlines: The deadlines it asks for.
        prefix: First part of its results' keys.
        context: The caller's own JSON.
        created_s: When it was accepted, seconds since 1970, as all times here.
        start_by_s: By when an agent is to have it, and again after its agent has vanished; None of an item that an
            earlier version wrote.
        attempts: How often a model server got it.
        hand_backs: How often it was given back for no fault of its own.
        claims: How often an agent took it.
        generation: How often it was begun anew after it had failed.
        lease_until_s: Until when its agent has it; None where no agent does.
        cancel_requested: Whether its agent is to stop it.
        notified: Whether its notice was sent.
        pictures: The extension of each picture, in order; with the names' rule they give the keys.
        has_manifest: Whether the runtime's answer was stored.
        error: Why it failed.
        due_s: When the keeper is to look at it; None when never.
    """

    job: str
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
    hand_backs: int
    claims: int
    generation: int
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
            job=values["pk"],
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
            hand_backs=int(values.get("hand_backs", 0)),
            claims=int(values.get("claims", 0)),
            generation=int(values.get("generation", 0)),
            lease_until_s=values.get("lease_until"),
            cancel_requested=values.get("cancel_requested", False),
            notified="notified_at" in values,
            pictures=tuple(filter(None, values.get("pictures", "").split(","))),
            has_manifest=values.get("has_manifest", False),
            error=None if code is None else JobError(code=code, message=values.get("error_message", "")),
            due_s=values.get("due_at"),
        )

    def lease_left_s(self, now_s: float) -> float:
        """Seconds for which an agent still has it; 0 when none does."""
        return 0.0 if self.lease_until_s is None else max(0.0, self.lease_until_s - now_s)

    def notice(self, bucket: str) -> Notice:
        """The notice of a job that has ended.

        Args:
            bucket: The output bucket.
        """
        names = ResultNames(prefix=self.prefix, task_id=self.task_id, job=self.job)
        keys = (names.picture_key(number, extension) for number, extension in enumerate(self.pictures, start=1))
        succeeded = self.state is JobState.SUCCEEDED
        return Notice(
            id=self.task_id,
            result=succeeded,
            image_url=[s3_url(bucket, key) for key in keys],
            output_url=s3_url(bucket, names.answer_key) if self.has_manifest else None,
            context=self.context,
            job=self.job,
            runtime=self.runtime,
            status=self.state.value,
            error=self.error,
            tenant=self.tenant,
        )
