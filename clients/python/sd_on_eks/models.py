"""The API's answers.

Fields that a newer API adds are ignored. States and similar words are plain strings, so a new one is not an error.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class AnswerModel(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class QueuePlace(AnswerModel):
    """A waiting job's place in its runtime's queue."""

    position: int | None = None
    """Number of jobs ahead of it; None if more than 1000."""
    eta_s: float | None = None
    """Estimated seconds until it starts; None if no server is ready."""


class Progress(AnswerModel):
    """How far a running job has got. Fields that its model server does not report are None."""

    fraction: float | None = None
    """From 0 to 1."""
    step: int | None = None
    steps: int | None = None
    """Total number of sampling steps; ``step`` is the current one."""
    stage: str | None = None
    """What the model server is doing: the workflow node that runs, or a word such as ``sampling``."""
    preview: str | None = None
    """Link to a preview of the unfinished picture. It needs no key and works until the job ends."""


class Output(AnswerModel):
    """One file of a job's result."""

    url: str
    """Link to the file. It needs no key and works until ``expires_at``."""
    s3: str
    """Its s3:// link, for readers with their own access to the bucket."""
    expires_at: datetime | None = None
    """When ``url`` expires: in a little over an hour. Get the job again for a new link."""
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    seed: int | None = None
    name: str | None = None
    """The model server's own file name."""


class JobProblem(AnswerModel):
    """Why a job failed."""

    code: str
    """Error code, for programs."""
    message: str
    """Explanation for people, in the model server's own words if it gave any."""
    hint: str | None = None
    """What you can do about it."""


class RequestWarning(AnswerModel):
    """A part of the request that has no effect."""

    pointer: str
    detail: str


class Timings(AnswerModel):
    """Seconds spent in each part of a job; None for parts that have not happened."""

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
    """Increases with every change."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    """How many times a model server started it."""
    queue: QueuePlace | None = None
    """Only while the job waits, and not in lists."""
    progress: Progress | None = None
    """Only while the job runs."""
    images: list[Output] = []
    files: list[Output] = []
    """Results that are not pictures."""
    manifest: Output | None = None
    """JSON file that lists all results with the parameters used to make them."""
    error: JobProblem | None = None
    retry_reason: str | None = None
    """Why the last attempt failed, if another one follows."""
    priority: str = "normal"
    """Which of the runtime's jobs go first: high, normal or low."""
    retry_of: str | None = None
    """The job that this one repeats."""
    cancel_requested: bool = False
    warnings: list[RequestWarning] = []
    """Only in the answer to the request that submitted it."""
    timings: Timings = Timings()
    context: Any = None
    tenant: str | None = None
    """Id of the API key that it was submitted with."""
    links: dict[str, str] = {}
    """Related links: self, events, request, and cancel or retry."""

    @property
    def has_ended(self) -> bool:
        """Whether it has succeeded, failed or been cancelled."""
        return self.ended_at is not None

    @property
    def succeeded(self) -> bool:
        """Whether it has succeeded, so that its results can be fetched."""
        return self.state == "succeeded"

    @property
    def outputs(self) -> list[Output]:
        """Its pictures and files."""
        return [*self.images, *self.files]


class JobPage(AnswerModel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next: str | None = None
    """``cursor`` for the next page; None on the last page."""


class Checked(AnswerModel):
    """The result of a dry run."""

    valid: bool
    warnings: list[RequestWarning] = []


class KeptRequest(AnswerModel):
    """The request that a job was made from."""

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
    """Error code, for programs."""
    detail: str
    errors: list[dict[str, Any]] = []
    """Every wrong field, with ``pointer``, ``detail`` and ``suggestion``."""


class BatchAnswer(AnswerModel):
    """The result of one request in a batch: a job or a problem."""

    index: int
    """Its position in the request, starting at 0."""
    job: Job | None = None
    problem: ProblemDetails | None = None


class SubmittedBatch(AnswerModel):
    """The results of a batch's requests, in the same order."""

    batch: str | None = None
    """Its id; None if no request was accepted."""
    answers: list[BatchAnswer]


class BatchJob(AnswerModel):
    """A job of a batch."""

    index: int
    job: str
    state: str | None = None
    """None if the job is older than 90 days."""


class Batch(AnswerModel):
    """A batch."""

    batch: str
    created_at: datetime
    states: dict[str, int]
    """Number of its jobs in each state."""
    jobs: list[BatchJob]


class Runtime(AnswerModel):
    """A runtime, and how busy it is."""

    name: str
    type: str
    """Kind of model server: ``sdwebui``, ``comfyui`` or ``flux``."""
    task_types: list[str]
    """The values that ``type`` of a job can have."""
    priorities: list[str] = ["normal"]
    """The values that ``priority`` of a job can have; only ``normal`` if the runtime has one queue."""
    queued: int | None = None
    """Number of waiting jobs; None if more than 1000."""
    running: int
    """Number of running jobs, as its servers last reported (within two minutes)."""
    ready_servers: int
    """Number of servers that take jobs. 0 when scaled to zero: a job then waits for a server to start."""
    seconds_a_job: float | None = None
    """Average GPU time of a job; None if none has ended in the last hour."""
    eta_s: float | None = None
    """Estimated seconds until a job submitted now would start; None if unknown."""


class RuntimeList(AnswerModel):
    """All runtimes."""

    runtimes: list[Runtime]


class Sizes(AnswerModel):
    """Picture sizes that a runtime accepts, in pixels; unknown values are None."""

    default: int | None = None
    """Default width and height."""
    multiple_of: int | None = None
    """Width and height must be multiples of this."""
    max_pixels: int | None = None
    """Maximum of width times height."""


class RuntimeDetails(Runtime):
    """A runtime, how busy it is, and which models it has."""

    is_live: bool
    """Whether the lists come from its running servers. If false, they come from the configuration."""
    models: list[str]
    """Checkpoints, and ComfyUI's diffusion models."""
    loras: list[str]
    vaes: list[str]
    samplers: list[str]
    schedulers: list[str]
    upscalers: list[str]
    node_classes: list[str] | None = None
    """ComfyUI's node classes; None for other types, or if unknown."""
    sizes: Sizes | None = None


class WorkflowEntry(AnswerModel):
    """A workflow in a list."""

    name: str
    version: str
    """Changes whenever the workflow changes."""
    changed_at: datetime


class Workflow(WorkflowEntry):
    """A stored workflow."""

    workflow: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    """The inputs that jobs may set, with their types and defaults."""
    description: str = ""


class SettableInputs(AnswerModel):
    """What a workflow lets its callers set."""

    inputs: dict[str, dict[str, Any]]
    """The inputs, with their types and defaults."""
    inputs_schema: dict[str, Any]
    """Their JSON schema, with the choices and limits of the runtime's servers if they are known."""


class WorkflowList(AnswerModel):
    """A page of workflows, sorted by name."""

    workflows: list[WorkflowEntry]
    next: str | None = None


class UsageRow(AnswerModel):
    """What a runtime's jobs used."""

    day: date | None = None
    """Day of submission; None without ``by_day``."""
    runtime: str
    jobs: int
    succeeded: int
    failed: int
    cancelled: int
    pictures: int
    gpu_seconds: float
    """Seconds that model servers spent on jobs that succeeded or failed."""

    def plus(self, other: UsageRow) -> UsageRow:
        """Return the sum of both rows."""
        counts = ("jobs", "succeeded", "failed", "cancelled", "pictures", "gpu_seconds")
        return self.model_copy(update={name: getattr(self, name) + getattr(other, name) for name in counts})


class UsagePage(AnswerModel):
    """A page of what jobs used."""

    rows: list[UsageRow]
    next: str | None = None


class FileUpload(AnswerModel):
    """The request that uploads a file to S3."""

    method: str
    url: str
    """Needs no API key, so keep it secret."""
    headers: dict[str, str]
    """Headers to send with it, unchanged."""
    expires_at: datetime
    """The upload must start before this time."""


class SentFile(AnswerModel):
    """An uploaded file that jobs can read."""

    file: str
    """Its id."""
    s3: str
    """The link to use in a job's content; only your own jobs can read it."""
    name: str
    content_type: str
    """Media type, from its first bytes or else from its name."""
    bytes: int
    expires_at: datetime
    """When it will be deleted."""
    upload: FileUpload | None = None


class WebhookSecret(AnswerModel):
    """The secret that signs your webhooks."""

    secret: str
    """``whsec_`` followed by base64, as Standard Webhooks defines it."""
    version: int
    """Increases with every rotation."""
    previous_until: datetime | None = None
    """Until then, webhooks are also signed with the previous secret; None if they are not."""


class WebhookDelivery(AnswerModel):
    """A webhook and the result of its delivery."""

    id: str
    """The ``webhook-id`` header."""
    job: str
    event: str
    state: str
    """``delivered``, ``waiting`` for the next attempt, or ``failed`` for good."""
    attempts: int
    status: int | None = None
    """HTTP status of the receiver's answer; None if it did not answer."""
    problem: str | None = None
    """What went wrong."""
    sent_at: datetime
    next_at: datetime | None = None
    """When the next attempt will be made."""


class DeliveryList(AnswerModel):
    """Webhooks of a job, or of several."""

    deliveries: list[WebhookDelivery]
    next: str | None = None
    """`cursor` of the next page; None on the last one."""


class StateChange(AnswerModel):
    """A job's new state."""

    state: str
    attempts: int = 0


class Preview(AnswerModel):
    """A preview of an unfinished picture."""

    url: str
    at: datetime | None = None
    """When it was made."""


class LogLine(AnswerModel):
    """Something that happened to a job."""

    message: str
