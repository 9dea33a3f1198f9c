"""What the API answers.

Fields that a later API adds are ignored. States and other words are plain text, so that a new one is no error.
"""

from __future__ import annotations

from datetime import date, datetime
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
    priority: str = "normal"
    """Which of the runtime's jobs go first: high, normal or low."""
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
    priority: str | None = None
    webhook: dict[str, Any] | None = None
    keep: list[str] | None = None


class ProblemDetails(AnswerModel):
    """Why a request of a batch was rejected."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    """A word for programs."""
    detail: str
    errors: list[dict[str, Any]] = []
    """What is wrong, field by field: ``pointer``, ``detail`` and ``suggestion``."""


class BatchAnswer(AnswerModel):
    """What became of one request of a batch: a job, or a problem."""

    index: int
    """Its place among the requests, from 0."""
    job: Job | None = None
    problem: ProblemDetails | None = None


class SubmittedBatch(AnswerModel):
    """The answers to a batch's requests, in their order."""

    batch: str | None = None
    """Its id; None where no request was accepted."""
    answers: list[BatchAnswer]


class BatchJob(AnswerModel):
    """A job of a batch."""

    index: int
    job: str
    state: str | None = None
    """None where the job is older than 90 days."""


class Batch(AnswerModel):
    """A batch."""

    batch: str
    created_at: datetime
    states: dict[str, int]
    """How many of its jobs are in each state."""
    jobs: list[BatchJob]


class Runtime(AnswerModel):
    """A runtime, and how busy it is."""

    name: str
    type: str
    """What its servers are."""
    task_types: list[str]
    """What ``type`` of a job may be."""
    priorities: list[str] = ["normal"]
    """What ``priority`` of a job may be; ``normal`` alone where the runtime has one queue."""
    queued: int | None = None
    """Jobs that wait; None for more than 1000."""
    running: int
    ready_servers: int
    seconds_a_job: float | None = None
    """How long a job keeps a GPU; None where none has ended within the last hour."""
    eta_s: float | None = None
    """In how many seconds a job that is submitted now probably begins; None where nobody knows."""


class RuntimeList(AnswerModel):
    """All runtimes."""

    runtimes: list[Runtime]


class Sizes(AnswerModel):
    """Which sizes a runtime draws, in pixels; None for what is unknown."""

    default: int | None = None
    """Width and height unless a request says otherwise."""
    multiple_of: int | None = None
    """What width and height are multiples of."""
    max_pixels: int | None = None
    """The most that width times height may be."""


class RuntimeDetails(Runtime):
    """A runtime, how busy it is, and what it has."""

    is_live: bool
    """Whether its servers have said so lately; if not, this is what the configuration says."""
    models: list[str]
    loras: list[str]
    vaes: list[str]
    samplers: list[str]
    schedulers: list[str]
    upscalers: list[str]
    node_classes: list[str] | None = None
    """ComfyUI's; None for other types, and where they are unknown."""
    sizes: Sizes | None = None


class WorkflowEntry(AnswerModel):
    """A named workflow in a list."""

    name: str
    version: str
    """Changes when the workflow does."""
    changed_at: datetime


class Workflow(WorkflowEntry):
    """A named workflow."""

    workflow: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    """What jobs may set, with the types and defaults that they have."""
    description: str = ""


class WorkflowList(AnswerModel):
    """Some workflows, by their names."""

    workflows: list[WorkflowEntry]
    next: str | None = None


class UsageRow(AnswerModel):
    """What the jobs of a runtime used."""

    day: date | None = None
    """On which they were submitted; None for all days."""
    runtime: str
    jobs: int
    succeeded: int
    failed: int
    cancelled: int
    pictures: int
    gpu_seconds: float
    """How long model servers worked on those that succeeded or failed."""

    def plus(self, other: UsageRow) -> UsageRow:
        """Both together."""
        counts = ("jobs", "succeeded", "failed", "cancelled", "pictures", "gpu_seconds")
        return self.model_copy(update={name: getattr(self, name) + getattr(other, name) for name in counts})


class UsagePage(AnswerModel):
    """What jobs used, as far as one answer goes."""

    rows: list[UsageRow]
    next: str | None = None


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
