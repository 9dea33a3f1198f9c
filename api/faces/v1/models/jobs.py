"""What ``/v1/jobs`` takes and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field

from api.faces.v1.models.base import ApiModel, ApiRequest
from api.faces.v1.models.outputs import OutputView
from contract.deadlines import AskedDeadlines
from contract.queues import Priority
from contract.task import DEFAULT_PREFIX, Prefix, TaskId
from contract.webhooks import Webhook
from jobs.job import JobState

MAX_WAIT_S = 600


def _check_time(value: Any) -> Any:
    if isinstance(value, str) and "T" not in value.upper():  # a number would be seconds
        raise ValueError("must be a time with its zone, as 2026-01-31T12:00:00Z")
    return value


_Time = Annotated[AwareDatetime, BeforeValidator(_check_time)]


class JobRequest(ApiRequest):
    """What to make, and the runtime that makes it."""

    runtime: Annotated[str, Field(min_length=1, max_length=256)]
    """Name of a runtime; GET /v1/runtimes lists them."""
    type: Annotated[str, Field(min_length=1, max_length=64)]
    """Task type, such as `text-to-image`; each runtime lists the ones it accepts. ComfyUI runtimes also accept
    `workflow`, with `{"workflow": NAME, "inputs": {…}}` as content."""
    content: dict[str, Any]
    """The request for the model server; GET /v1/runtimes/{name}/schema describes it."""
    id: TaskId | None = None
    """Your own name for the task; it becomes part of the S3 keys of its results. Default: the job's id."""
    prefix: Prefix = DEFAULT_PREFIX
    """Prefix of the S3 keys of its results."""
    context: Any = None
    """Any JSON up to 16 KiB. The job, its notice and its webhooks return it."""
    deadlines: AskedDeadlines | None = None
    """Deadlines within the runtime's limits."""
    priority: Priority | None = None
    """Which jobs go first, where the runtime has `priorities`: while all wait, of ten jobs six are `high`, three
    `normal` and one `low`. Default: normal."""
    webhook: Webhook | None = None
    """Where to send webhooks about the job."""
    keep: tuple[Literal["preview"], ...] | None = None
    """`preview`: keep previews of the unfinished picture, if the model server makes them."""


class RetryRequest(ApiRequest):
    """What to change in the repeated request."""

    content: dict[str, Any] = {}
    """A JSON merge patch (RFC 7396) for its content, such as `{"seed": 7}`; null removes a key."""


class JobQuery(ApiRequest):
    """Parameters of GET /v1/jobs/{job}."""

    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 0
    """Wait up to this many seconds for the job to change before answering; behind API Gateway, 25 at most."""
    since: Annotated[int, Field(ge=0)] | None = None
    """Wait until the version is higher than this. Default: wait until the job has ended."""


class SubmitQuery(ApiRequest):
    """Parameters of POST /v1/jobs."""

    dry_run: bool = False
    """Check the request without submitting it."""


class ListQuery(ApiRequest):
    """Parameters of GET /v1/jobs."""

    state: str | None = None
    """One or more states, separated by commas."""
    runtime: str | None = None
    """A runtime's name."""
    task_id: str | None = None
    """Your own id for the task."""
    created_after: _Time | None = None
    """A time with its zone."""
    created_before: _Time | None = None
    """A time with its zone."""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    """Maximum number of jobs in the page."""
    cursor: str | None = None
    """`next` from the previous page."""
    tenant: str | None = None
    """For admin keys only: the key whose jobs to list, by its id, or `*` for all. Default: your own."""


class QueueView(ApiModel):
    """A waiting job's place in its runtime's queue."""

    position: int | None
    """Number of jobs ahead of it; null if more than 1000."""
    eta_s: float | None
    """Estimated seconds until it starts; null if no server is ready."""


class ProgressView(ApiModel):
    """How far a running job has got. Fields that its model server does not report are null."""

    fraction: float | None = None
    """From 0 to 1."""
    step: int | None = None
    steps: int | None = None
    """Total number of sampling steps; `step` is the current one."""
    stage: str | None = None
    """What the model server is doing: the workflow node that runs, or a word such as `sampling`."""
    preview: str | None = None
    """Link to a preview of the unfinished picture. It needs no key and works until the job ends."""


class JobErrorView(ApiModel):
    """Why a job failed."""

    code: str
    """Error code, for programs."""
    message: str
    """Explanation for people, in the model server's own words if it gave any."""
    hint: str | None = None
    """What you can do about it."""


class WarningView(ApiModel):
    """A part of the request that has no effect."""

    pointer: str
    detail: str


class Timings(ApiModel):
    """Seconds spent in each part of a job; null for parts that have not happened."""

    queued_s: float | None = None
    prepare_s: float | None = None
    run_s: float | None = None
    store_s: float | None = None


class JobView(ApiModel):
    """A job."""

    model_config = ConfigDict(title="Job")

    job: str
    """Its id; ids sort by time."""
    task_id: str
    runtime: str
    type: str
    state: JobState
    version: int
    """Increases with every change."""
    priority: Priority = Priority.NORMAL
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int
    """How many times a model server started it."""
    queue: QueueView | None = None
    """Only while the job waits, and not in lists."""
    progress: ProgressView | None = None
    """Only while the job runs."""
    images: list[OutputView] = []
    files: list[OutputView] = []
    """Results that are not pictures."""
    manifest: OutputView | None = None
    """JSON file that lists all results with the parameters used to make them."""
    error: JobErrorView | None = None
    retry_reason: str | None = None
    """Why the last attempt failed, if another one follows."""
    retry_of: str | None = None
    """The job that this one repeats."""
    cancel_requested: bool = False
    warnings: list[WarningView] = []
    """Only in the answer to the request that submitted it."""
    timings: Timings = Timings()
    context: Any = None
    tenant: str | None = None
    """Id of the API key that it was submitted with."""
    links: dict[str, str]
    """Related links: self, events, request, and cancel or retry."""


class JobPage(ApiModel):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    next: str | None
    """`cursor` for the next page; null on the last page."""


class Checked(ApiModel):
    """The result of a dry run."""

    valid: bool
    warnings: list[WarningView] = []


class KeptRequest(ApiModel):
    """The request that a job was made from."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    runtime: str
    type: str
    content: dict[str, Any]
    id: str
    prefix: str
    context: Any = None
    deadlines: AskedDeadlines | None = None
    priority: Priority | None = None
    keep: tuple[Literal["preview"], ...] | None = None
    webhook: Webhook | None = None
