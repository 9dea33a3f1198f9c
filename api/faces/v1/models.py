"""What API v1 takes and answers. The OpenAPI document is made from these models; their docstrings are its words."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from contract.deadlines import AskedDeadlines
from contract.ids import JOB_ID_PATTERN
from contract.inputs import MAX_LINK_BYTES
from contract.models import Form
from contract.queues import Priority
from contract.task import DEFAULT_PREFIX, Prefix, TaskId
from contract.webhooks import JobEvent, Webhook
from jobs.job import JobState
from runtimes.comfyui.named import InputName, WorkflowInput

MAX_WAIT_S = 600
MAX_BATCH_JOBS = 100


def _check_time(value: Any) -> Any:
    if isinstance(value, str) and "T" not in value.upper():  # a number would be seconds
        raise ValueError("must be a time with its zone, as 2026-01-31T12:00:00Z")
    return value


_Time = Annotated[AwareDatetime, BeforeValidator(_check_time)]


def time_of(seconds: float) -> datetime:
    """Convert seconds since 1970 into a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


class ApiModel(BaseModel):
    """A part of the API."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # answers have all their keys
    )


class ApiRequest(ApiModel):
    """A part of a request. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


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
    """For admin keys only: the tenant whose jobs to show. Default: your own."""


class OutputQuery(ApiRequest):
    """Parameters of requests for a file."""

    redirect: bool = True
    """Whether to redirect to S3, or to send the file itself."""


class UploadRequest(ApiRequest):
    """A file that you will upload to S3 directly."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "film.mp4", "content_type": "video/mp4", "size": 20_000_000}]}
    )

    name: Annotated[str, Field(min_length=1, max_length=255)]
    """File name."""
    content_type: Annotated[str, Form(r"^[\w.+-]+/[\w.+-]+$", "a media type, such as image/png")] | None = None
    """Media type. Default: derived from the name."""
    size: Annotated[int, Field(ge=1, le=MAX_LINK_BYTES)]
    """Size in bytes."""


class UploadView(ApiModel):
    """The request that uploads a file to S3."""

    method: str
    url: str
    """Needs no API key, so keep it secret."""
    headers: dict[str, str]
    """Headers to send with it, unchanged."""
    expires_at: datetime
    """The upload must start before this time."""


class FileView(ApiModel):
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
    upload: UploadView | None = None
    """How to upload it, if you have not done so yet."""


class WorkflowRequest(ApiRequest):
    """A workflow to store."""

    workflow: dict[str, Any]
    """The workflow in ComfyUI's API format (menu *Workflow → Export (API)*)."""
    inputs: dict[InputName, WorkflowInput] | None = None
    """The inputs that jobs may set, under names of your choice. Default: the inputs found in the workflow."""
    description: Annotated[str, Field(max_length=1000)] = ""
    """What the workflow is for."""


class WorkflowQuery(ApiRequest):
    """Parameters of GET /v1/workflows."""

    cursor: Annotated[str, Field(max_length=64)] | None = None
    """`next` from the previous page."""


class WorkflowRow(ApiModel):
    """A workflow in a list."""

    name: str
    version: str
    """Changes whenever the workflow changes."""
    changed_at: datetime


class WorkflowView(WorkflowRow):
    """A stored workflow."""

    model_config = ConfigDict(title="Workflow")

    workflow: dict[str, Any]
    """The stored workflow."""
    inputs: dict[str, WorkflowInput]
    """The inputs that jobs may set, with their types and defaults."""
    description: str


class WorkflowPage(ApiModel):
    """A page of workflows, sorted by name."""

    workflows: list[WorkflowRow]
    next: str | None
    """`cursor` for the next page; null on the last page."""


class InputsSchema(ApiModel):
    """A JSON schema (2020-12)."""

    model_config = ConfigDict(extra="allow")

    type: str
    properties: dict[str, Any]


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


class OutputView(ApiModel):
    """One file of a job's result."""

    url: str
    """Link to the file. It needs no key and works until `expires_at`."""
    s3: str
    """Its s3:// link, for readers with their own access to the bucket."""
    expires_at: datetime | None = None
    """When `url` expires: in a little over an hour. Get the job again for a new link."""
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    seed: int | None = None
    name: str | None = None
    """The model server's own file name."""


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


class BatchRequest(ApiRequest):
    """Several jobs to submit in one request."""

    jobs: Annotated[list[JobRequest], Field(min_length=1, max_length=MAX_BATCH_JOBS)]
    """The requests. Each is accepted or rejected separately."""


class BatchAnswer(ApiModel):
    """The result of one request in a batch: a job or a problem."""

    index: int
    """Its position in the request, starting at 0."""
    job: JobView | None = None
    problem: "Problem | None" = None


class SubmittedBatch(ApiModel):
    """The results of a batch's requests, in the same order."""

    batch: str | None
    """Its id; null if no request was accepted, or if the batch itself could not be stored."""
    answers: list[BatchAnswer]


class BatchJob(ApiModel):
    """A job of a batch."""

    index: int
    job: str
    state: JobState | None
    """Null if the job is older than 90 days."""


class BatchView(ApiModel):
    """A batch."""

    model_config = ConfigDict(title="Batch")

    batch: str
    created_at: datetime
    states: dict[JobState, int]
    """Number of its jobs in each state."""
    jobs: list[BatchJob]


Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
"""One that jobs can have, and with which one can do sums."""


class UsageQuery(ApiRequest):
    """Parameters of GET /v1/usage."""

    first: Annotated[Day | None, Field(alias="from")] = None
    """First day, in UTC. Default: 30 days in total."""
    last: Annotated[Day | None, Field(alias="to")] = None
    """Last day, in UTC. Default: today."""
    by: Literal["day"] | None = None
    """`day` gives a row for each day. Default: one row for the whole period."""
    cursor: Annotated[str, Field(pattern=JOB_ID_PATTERN)] | None = None
    """`next` from the previous answer."""
    tenant: str | None = None
    """For admin keys only: the tenant whose jobs to show. Default: your own."""


class UsageRow(ApiModel):
    """What a runtime's jobs used."""

    day: date | None
    """Day of submission; null without `by=day`."""
    runtime: str
    jobs: int
    succeeded: int
    failed: int
    cancelled: int
    pictures: int
    gpu_seconds: float
    """Seconds that model servers spent on jobs that succeeded or failed."""


class UsageView(ApiModel):
    """What jobs used."""

    model_config = ConfigDict(title="Usage")

    rows: list[UsageRow]
    next: str | None
    """`cursor` for the rest, which you add to these rows; null if this is everything."""


class RuntimeView(ApiModel):
    """A runtime, and how busy it is."""

    name: str
    type: str
    """Kind of model server: `sdwebui`, `comfyui` or `flux`."""
    task_types: list[str]
    """The values that `type` of a job can have. ComfyUI runtimes also accept `workflow`, for stored workflows."""
    priorities: list[Priority]
    """The values that `priority` of a job can have; only `normal` where the runtime has one queue."""
    queued: int | None
    """Number of waiting jobs; null if more than 1000."""
    running: int
    """Number of running jobs, as its servers last reported (within two minutes)."""
    ready_servers: int
    """Number of servers that take jobs. 0 when scaled to zero: a job then waits for a server to start."""
    seconds_a_job: float | None
    """Average GPU time of a job; null if none has ended in the last hour."""
    eta_s: float | None
    """Estimated seconds until a job submitted now would start; null if unknown."""


class RuntimeList(ApiModel):
    """All runtimes."""

    runtimes: list[RuntimeView]


class SizesView(ApiModel):
    """Picture sizes that a runtime accepts, in pixels; unknown values are null."""

    default: int | None
    """Default width and height."""
    multiple_of: int | None
    """Width and height must be multiples of this."""
    max_pixels: int | None
    """Maximum of width times height."""


class RuntimeDetails(RuntimeView):
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
    node_classes: list[str] | None
    """ComfyUI's node classes; null for other types, or if unknown."""
    sizes: SizesView | None


class SchemaQuery(ApiRequest):
    """Parameters of GET /v1/runtimes/{name}/schema."""

    type: str | None = None
    """Task type. Default: the runtime's first one."""


class SecretView(ApiModel):
    """The secret that signs your webhooks."""

    secret: str
    """`whsec_` followed by base64, as Standard Webhooks defines it."""
    version: int
    """Increases with every rotation."""
    previous_until: datetime | None
    """Until then, webhooks are also signed with the previous secret; null if they are not."""


class DeliveryQuery(ApiRequest):
    """Parameters of GET /v1/webhooks/deliveries."""

    job: str
    """The job."""


class DeliveryView(ApiModel):
    """A webhook and the result of its delivery."""

    id: str
    """The `webhook-id` header."""
    job: str
    event: JobEvent
    state: Literal["delivered", "waiting", "failed"]
    """`delivered`, `waiting` for the next attempt, or `failed` for good."""
    attempts: int
    status: int | None
    """HTTP status of the receiver's answer; null if it did not answer."""
    problem: str | None
    """What went wrong."""
    sent_at: datetime
    next_at: datetime | None
    """When the next attempt will be made."""


class DeliveryPage(ApiModel):
    """The webhooks of a job."""

    deliveries: list[DeliveryView]


class ProblemField(ApiModel):
    """What is wrong with one field of a request."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    pointer: str
    """Where it is, as a JSON pointer into the body (`#/content/steps`), or the name of a header or parameter."""
    detail: str
    suggestion: str | None = None
    """What was probably meant."""


class Problem(ApiModel):
    """A rejection, as RFC 9457 has it."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    """Error code, for programs."""
    errors: list[ProblemField] = []
    """All that is wrong, at once."""
