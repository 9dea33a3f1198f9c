"""What the API answers.

Fields that a later API adds are ignored. States and other words are plain text, so that a new one is no error.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class AnswerModel(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class QueuePlace(AnswerModel):
    """Where a waiting job is in its runtime's queue."""

    position: int | None = None
    """How many jobs are before it; None for more than 1000."""
    eta_s: float | None = None
    """In how many seconds it probably begins; None if nobody knows."""


class Progress(AnswerModel):
    """How far a running job is; None for what its model server does not say."""

    fraction: float | None = None
    """From 0 to 1."""
    step: int | None = None
    steps: int | None = None
    """Sampling steps, of which ``step`` is done."""
    stage: str | None = None
    """What the model server does: the node of a workflow, or a word such as ``sampling``."""
    preview: str | None = None
    """Where a picture of the unfinished result is, until the job ends."""


class Output(AnswerModel):
    """One file of a job's result."""

    url: str
    """Where it can be fetched."""
    s3: str
    expires_at: datetime | None = None
    """When ``url`` ends to work; ask for the job again then."""
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    seed: int | None = None
    name: str | None = None
    """What the model server called it."""


class JobProblem(AnswerModel):
    """Why a job failed."""

    code: str
    """A word for programs."""
    message: str
    hint: str | None = None
    """What to do about it."""


class RequestWarning(AnswerModel):
    """A part of a request that has no effect."""

    pointer: str
    detail: str


class Timings(AnswerModel):
    """Seconds that the parts of a job took; None for what has not been."""

    queued_s: float | None = None
    prepare_s: float | None = None
    run_s: float | None = None
    store_s: float | None = None


class Job(AnswerModel):
    """A job."""

    job: str
    """Its id; ids sort by time."""
    task_id: str
    runtime: str
    type: str
    state: str
    """accepted, queued, running, succeeded, failed or cancelled."""
    version: int
    """Grows with every change."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    """How often a model server began it."""
    queue: QueuePlace | None = None
    """Only while it waits, and only where one job is asked for."""
    progress: Progress | None = None
    """Only while it runs."""
    images: list[Output] = []
    files: list[Output] = []
    """Results that are no pictures."""
    manifest: Output | None = None
    """All of its results, with the parameters they were made with, as JSON."""
    error: JobProblem | None = None
    retry_reason: str | None = None
    """Why the latest attempt was given up, where another follows."""
    retry_of: str | None = None
    """The job whose request it repeats."""
    cancel_requested: bool = False
    warnings: list[RequestWarning] = []
    """In the answer to its request alone."""
    timings: Timings = Timings()
    context: Any = None
    links: dict[str, str] = {}

    @property
    def has_ended(self) -> bool:
        """Whether it has succeeded, failed or been cancelled."""
        return self.ended_at is not None

    @property
    def succeeded(self) -> bool:
        """Whether its pictures are there."""
        return self.state == "succeeded"

    @property
    def outputs(self) -> list[Output]:
        """Its pictures and files."""
        return [*self.images, *self.files]


class JobPage(AnswerModel):
    """Some jobs, the newest first."""

    jobs: list[Job]
    next: str | None = None
    """Where the next page begins; None on the last."""


class Checked(AnswerModel):
    """What a request was found to be, without being submitted."""

    valid: bool
    warnings: list[RequestWarning] = []


class KeptRequest(AnswerModel):
    """What was asked for."""

    runtime: str
    type: str
    content: dict[str, Any]
    id: str
    prefix: str
    context: Any = None
    deadlines: dict[str, Any] | None = None
    webhook: dict[str, Any] | None = None
    keep: list[str] | None = None


class FileUpload(AnswerModel):
    """The request by which a large file is sent to S3."""

    method: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


class SentFile(AnswerModel):
    """A file that was sent, for jobs to read."""

    file: str
    """Its id."""
    s3: str
    """Its link, to be put into a job's content."""
    name: str
    content_type: str
    bytes: int
    expires_at: datetime
    """When it is deleted."""
    upload: FileUpload | None = None


class WebhookSecret(AnswerModel):
    """The secret of your webhooks."""

    secret: str
    """``whsec_`` and base64, as Standard Webhooks has it."""
    version: int
    """Grows with every rotation."""
    previous_until: datetime | None = None
    """Until when webhooks are also signed with the secret before it; None where they are not."""


class WebhookDelivery(AnswerModel):
    """A webhook, and what became of it."""

    id: str
    """Header ``webhook-id``."""
    job: str
    event: str
    state: str
    """delivered, waiting for the next attempt, or failed for good."""
    attempts: int
    status: int | None = None
    """The receiver's HTTP status; None if it did not answer."""
    problem: str | None = None
    """What went wrong."""
    sent_at: datetime
    next_at: datetime | None = None
    """When the next attempt is made."""


class DeliveryList(AnswerModel):
    """A job's webhooks."""

    deliveries: list[WebhookDelivery]


class StateChange(AnswerModel):
    """A job's new state."""

    state: str
    attempts: int = 0


class Preview(AnswerModel):
    """A picture of an unfinished result."""

    url: str
    at: datetime | None = None


class LogLine(AnswerModel):
    """Something that happened to a job."""

    message: str
