"""A job: the platform's record of one run of a task, kept as long as its results.

Its item in the table has no prompt, but everything that a notice needs, so that every part that ends a job can notify.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, repeat
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json

from contract import strict_json
from contract.deadlines import AskedDeadlines
from contract.notice import JobError, Notice
from contract.objects import ResultNames, s3_url
from contract.queues import Priority
from contract.webhooks import Webhook, WebhookForm
from jobs.dynamodb import Item, read_values


class JobState(StrEnum):
    """How far a job is."""

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


class StoredOutput(BaseModel):
    """One file of a job's result, as its item describes it."""

    model_config = ConfigDict(frozen=True)

    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    name: str | None = None
    """The model server's own file name."""


class Job(BaseModel):
    """One job; the aliases are its item's attributes. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)  # errors are logged, and the context is private

    id: Annotated[str, Field(alias="pk")]
    state: JobState
    task_id: str
    """The caller's name for the task."""
    runtime: str
    tasktype: str
    tenant: str | None = None
    """The id of its API key; None for a message from another producer."""
    priority: Priority = Priority.NORMAL
    """Which of the runtime's jobs go first, where the runtime has priorities."""
    deadlines: Json[AskedDeadlines] | None = None
    """The deadlines that it asks for."""
    prefix: str
    """First part of its results' keys."""
    context: Annotated[Any, BeforeValidator(strict_json.loads)]
    """The caller's own JSON."""
    created_s: Annotated[float, Field(alias="created_at")]
    """When it was accepted."""
    started_s: Annotated[float | None, Field(alias="started_at")] = None
    """When an agent claimed it last."""
    ended_s: Annotated[float | None, Field(alias="ended_at")] = None
    version: int = 0
    """Counts the changes that its caller can see."""
    retry_of: str | None = None
    """The job that this one repeats."""
    keep: tuple[Literal["preview"], ...] = ()
    """What its agent stores besides the results."""
    webhook: Json[Webhook] | None = None
    """Where to send webhooks about the job."""
    webhook_form: Json[WebhookForm] | None = None
    """How to write them; None for the platform's own form."""
    start_by_s: Annotated[float | None, Field(alias="start_by")] = None
    """By when an agent must claim it, also after its agent has vanished; None in items of an earlier version."""
    attempts: int = 0
    """How many times a model server started it."""
    releases: Annotated[int, Field(alias="hand_backs")] = 0
    """How many times it was released without counting an attempt."""
    claims: int = 0
    """How many times an agent claimed it."""
    redrives: Annotated[int, Field(alias="generation")] = 0
    """How often an operator started it again after it had failed."""
    lease_until_s: Annotated[float | None, Field(alias="lease_until")] = None
    """When its agent's lease ends; None if no agent has it."""
    cancel_requested: bool = False
    """Whether its agent must stop it."""
    progress: float | None = None
    """From 0 to 1; None if unknown."""
    step: int | None = None
    """The current sampling step."""
    steps: int | None = None
    """Total number of sampling steps."""
    stage: str | None = None
    """What the model server is doing: the workflow node that runs, or a word such as "sampling"."""
    previewed_s: Annotated[float | None, Field(alias="previewed_at")] = None
    """When its latest preview was stored; None without one."""
    retry_reason: str | None = None
    """Why the last attempt failed, if another one follows."""
    stages_s: Json[dict[str, float]] = {}
    """Seconds that each stage of the agent's work took."""
    notified: bool
    """Whether its notice was sent."""
    pictures: tuple[str, ...]
    """The extension of each picture, in order; ``notice`` derives the keys."""
    outputs: Json[tuple[StoredOutput, ...]] = ()
    """A description of each picture, in order; empty in items of an earlier version, cut at MAX_OUTPUTS."""
    has_manifest: bool = False
    """Whether its manifest is stored."""
    error: JobError | None
    """Why it failed."""
    due_s: Annotated[float | None, Field(alias="due_at")] = None
    """When the keeper must look at it; None for never."""

    @classmethod
    def from_item(cls, item: Item) -> Self:
        """Read an item; raise ValueError if it is not a job."""
        values = read_values(item)
        code, pictures = values.get("error_code"), values.get("pictures", "")
        error = None if code is None else JobError(code=code, message=values.get("error_message", ""))
        derived = {
            "notified": "notified_at" in values,
            "pictures": tuple(filter(None, pictures.split(","))),
            "keep": tuple(filter(None, values.get("keep", "").split(","))),
        }
        return cls.model_validate({**values, **derived, "error": error})

    def lease_left_s(self, now_s: float) -> float:
        """Seconds until its agent's lease ends; 0 if no agent has it."""
        return 0.0 if self.lease_until_s is None else max(0.0, self.lease_until_s - now_s)

    @property
    def names(self) -> ResultNames:
        """Where its results are in the output bucket."""
        return ResultNames(prefix=self.prefix, task_id=self.task_id, job=self.id)

    @property
    def results(self) -> list[tuple[str, StoredOutput | None]]:
        """Return the key of each picture, in order, with its description if known."""
        names = self.names
        keys = [names.picture_key(number, extension) for number, extension in enumerate(self.pictures, start=1)]
        return list(zip(keys, chain(self.outputs, repeat(None)), strict=False))

    def notice(self, bucket: str) -> Notice:
        """Return the notice of a job that has ended. ``bucket`` is the output bucket."""
        return Notice(
            id=self.task_id,
            result=self.state is JobState.SUCCEEDED,
            image_url=[s3_url(bucket, key) for key, _ in self.results],
            output_url=s3_url(bucket, self.names.answer_key) if self.has_manifest else None,
            context=self.context,
            job=self.id,
            runtime=self.runtime,
            status=self.state.value,
            error=self.error,
            tenant=self.tenant,
            has_webhook=self.webhook is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running job has got. Values that its model server does not report are None.

    Attributes:
        fraction: From 0 to 1.
        step: The current sampling step, of ``steps``.
        stage: What the model server is doing: the workflow node that runs, or a word such as "sampling".
        previewed_s: When its latest preview was stored, seconds since 1970.
    """

    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    stage: str | None = None
    previewed_s: float | None = None

    def written(self) -> dict[str, Any]:
        """Return the attributes to write to a job's item."""
        values = {
            "progress": self.fraction,
            "step": self.step,
            "steps": self.steps,
            "stage": self.stage,
            "previewed_at": self.previewed_s,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An agent's claim on a job."""

    token: str
    """Proves the lease."""
    number: int
    """Counts the claims of this job, from 1; what an earlier claim left has another number."""
    attempt: int
    """Number of the attempt that starts when the model server gets the job, from 1."""
    redrives: int
    """How often an operator started the job again after it had failed."""
    start_by_s: float
    """The job's start deadline, seconds since 1970."""
    start_s: float
    """How long another agent has to claim the job if this one vanishes."""
    cancel_requested: bool = False
    """Whether the job must be cancelled instead of run."""
    has_webhook: bool = False
    """Whether its notice goes to the courier, too."""
    priority: Priority = Priority.NORMAL
    """The job's."""


@dataclass(frozen=True, slots=True)
class ClaimDenied:
    """Another agent may have the job: a lease on it lasts at least ``left_s`` seconds more."""

    left_s: float


@dataclass(frozen=True, slots=True)
class AlreadyFinished:
    """The job had ended before it was claimed."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """The result of a conditional update: whether the condition held.

    ``item`` is the job's item after the update, or the current one if the update was refused; None if there is none.
    """

    done: bool
    item: Item | None

    @property
    def job(self) -> Job | None:
        """The item's job."""
        return None if self.item is None else Job.from_item(self.item)
