"""A job: what the platform knows of one run of a task, for as long as its results are kept.

Its item in the table holds no prompt, but all that a notice needs, so that any part that ends a job can notify.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json

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


class Job(BaseModel):
    """One job; the aliases are its item's attributes. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)  # errors are logged; a context is the caller's

    id: Annotated[str, Field(alias="pk")]
    state: JobState
    task_id: str
    """The caller's name for the task."""
    runtime: str
    tasktype: str
    tenant: str | None = None
    """Whose it is; None of a foreign message."""
    deadlines: Json[AskedDeadlines] | None = None
    """The deadlines it asks for."""
    prefix: str
    """First part of its results' keys."""
    context: Annotated[Any, BeforeValidator(strict_json.loads)]
    """The caller's own JSON."""
    created_s: Annotated[float, Field(alias="created_at")]
    """When it was accepted."""
    start_by_s: Annotated[float | None, Field(alias="start_by")] = None
    """By when an agent must claim it, and again after its agent has vanished; None in an earlier version's item."""
    attempts: int = 0
    """How often a model server got it."""
    releases: Annotated[int, Field(alias="hand_backs")] = 0
    """How often it was released for no fault of its own."""
    claims: int = 0
    """How often an agent claimed it."""
    redrives: Annotated[int, Field(alias="generation")] = 0
    """How often an operator began it again after it had failed."""
    lease_until_s: Annotated[float | None, Field(alias="lease_until")] = None
    """When its agent's lease ends; None where no agent has it."""
    cancel_requested: bool = False
    """Whether its agent must stop it."""
    notified: bool
    """Whether its notice was sent."""
    pictures: tuple[str, ...]
    """The extension of each picture, in order; ``notice`` makes the keys of them."""
    has_manifest: bool = False
    """Whether the runtime's answer was stored."""
    error: JobError | None
    """Why it failed."""
    due_s: Annotated[float | None, Field(alias="due_at")] = None
    """When the keeper must look at it; None when never."""

    @classmethod
    def from_item(cls, item: Item) -> Self:
        """Read an item; raise ValueError where it is no job."""
        values = read_values(item)
        code, pictures = values.get("error_code"), values.get("pictures", "")
        error = None if code is None else JobError(code=code, message=values.get("error_message", ""))
        told = {"notified": "notified_at" in values, "pictures": tuple(filter(None, pictures.split(",")))}
        return cls.model_validate({**values, **told, "error": error})

    def lease_left_s(self, now_s: float) -> float:
        """Seconds until its agent's lease ends; 0 when no agent has it."""
        return 0.0 if self.lease_until_s is None else max(0.0, self.lease_until_s - now_s)

    def notice(self, bucket: str) -> Notice:
        """The notice of a job that has ended, whose results are in the output bucket."""
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
    """An agent's claim on a job."""

    token: str
    """What the lease is proved with."""
    number: int
    """Which claim of this job it is, from 1: whatever an earlier one left has another number."""
    attempt: int
    """Which attempt begins when the model server gets the job, from 1."""
    redrives: int
    """How often an operator began the job again after it had failed."""
    start_by_s: float
    """By when the job was to be begun, seconds since 1970."""
    start_s: float
    """How long another agent has to claim the job, should this one vanish."""
    cancel_requested: bool = False
    """Whether the job must be ended instead of run."""


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
    """What became of a conditional update: whether the condition held.

    The item is the job's after the update, or as it is where the update was refused; None where there is none.
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
