"""What API v1 takes and answers. The OpenAPI document is made from these models; their docstrings are its words."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from contract.deadlines import AskedDeadlines
from contract.ids import JOB_ID_PATTERN
from contract.inputs import MAX_LINK_BYTES
from contract.models import Form
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
    """A time as answers have it: in UTC, to the millisecond; from seconds since 1970."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


class ApiModel(BaseModel):
    """A part of the API."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # answers have all their keys
    )


class ApiRequest(ApiModel):
    """A part of a request: keys that nothing reads are errors."""

    model_config = ConfigDict(extra="forbid")


class JobRequest(ApiRequest):
    """What to make, and by which runtime."""

    runtime: Annotated[str, Field(min_length=1, max_length=256)]
    """A runtime, as GET /v1/runtimes lists them."""
    type: Annotated[str, Field(min_length=1, max_length=64)]
    """What the runtime shall do, such as `text-to-image`; each runtime lists its own. Those of ComfyUI also take
    `workflow`, with `{"workflow": NAME, "inputs": {…}}` as content."""
    content: dict[str, Any]
    """The model server's own request; GET /v1/runtimes/{name}/schema describes it."""
    id: TaskId | None = None
    """Your name for the task, part of the keys of its results. Default: the job's id."""
    prefix: Prefix = DEFAULT_PREFIX
    """First part of the S3 keys of its results."""
    context: Any = None
    """Any JSON, up to 16 KiB, which comes back with the job, its notice and its webhooks."""
    deadlines: AskedDeadlines | None = None
    """Deadlines within the runtime's limits."""
    webhook: Webhook | None = None
    """Where to tell of it."""
    keep: tuple[Literal["preview"], ...] | None = None
    """`preview`: pictures of the unfinished result, where the model server has them."""


class RetryRequest(ApiRequest):
    """What shall differ from the job that is repeated."""

    content: dict[str, Any] = {}
    """A JSON merge patch (RFC 7396) of its content, such as `{"seed": 7}`; null removes a key."""


class JobQuery(ApiRequest):
    """Parameters of GET /v1/jobs/{job}."""

    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 0
    """Answer once the job has changed, or after this many seconds; behind API Gateway 25 at the most."""
    since: Annotated[int, Field(ge=0)] | None = None
    """Wait for a version above this one. Default: wait for the job's end."""


class SubmitQuery(ApiRequest):
    """Parameters of POST /v1/jobs."""

    dry_run: bool = False
    """Only check the request."""


class ListQuery(ApiRequest):
    """Parameters of GET /v1/jobs."""

    state: str | None = None
    """States, with commas between them."""
    runtime: str | None = None
    """A runtime's name."""
    task_id: str | None = None
    """Your own id of the task."""
    created_after: _Time | None = None
    """A time with its zone."""
    created_before: _Time | None = None
    """A time with its zone."""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    """Jobs in one page."""
    cursor: str | None = None
    """`next` of the page before."""
    tenant: str | None = None
    """For keys with the role admin: whose jobs. Default: one's own."""


class OutputQuery(ApiRequest):
    """Parameters of requests for a file."""

    redirect: bool = True
    """Whether the answer leads to S3, or is the file itself."""


class UploadRequest(ApiRequest):
    """A file that will be sent to S3 itself."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "film.mp4", "content_type": "video/mp4", "size": 20_000_000}]}
    )

    name: Annotated[str, Field(min_length=1, max_length=255)]
    """What it is called."""
    content_type: Annotated[str, Form(r"^[\w.+-]+/[\w.+-]+$", "a media type, such as image/png")] | None = None
    """Its media type. Default: that of its name."""
    size: Annotated[int, Field(ge=1, le=MAX_LINK_BYTES)]
    """Its size in bytes."""


class UploadView(ApiModel):
    """The request by which a file is sent to S3."""

    method: str
    url: str
    """Needs no key; keep it to yourself."""
    headers: dict[str, str]
    """To be sent with it, as they are."""
    expires_at: datetime
    """Until when it can begin."""


class FileView(ApiModel):
    """A file that was sent, for jobs to read."""

    file: str
    """Its id."""
    s3: str
    """What stands for it in the content of a job: a link that only your own jobs can read."""
    name: str
    content_type: str
    """What it is by its first bytes, or by its name."""
    bytes: int
    expires_at: datetime
    """When it is deleted."""
    upload: UploadView | None = None
    """How to send it, where that is still to be done."""


class WorkflowRequest(ApiRequest):
    """A workflow to store."""

    workflow: dict[str, Any]
    """The workflow in ComfyUI's API format, as its menu exports it."""
    inputs: dict[InputName, WorkflowInput] | None = None
    """What jobs may set, by names of your choice. Default: what is found in the workflow."""
    description: Annotated[str, Field(max_length=1000)] = ""
    """What it is for."""


class WorkflowQuery(ApiRequest):
    """Parameters of GET /v1/workflows."""

    cursor: Annotated[str, Field(max_length=64)] | None = None
    """`next` of the page before."""


class WorkflowRow(ApiModel):
    """A workflow in a list."""

    name: str
    version: str
    """Changes when the workflow does."""
    changed_at: datetime


class WorkflowView(WorkflowRow):
    """A stored workflow."""

    model_config = ConfigDict(title="Workflow")

    workflow: dict[str, Any]
    """The workflow as it was stored."""
    inputs: dict[str, WorkflowInput]
    """What jobs may set, with the types and defaults that they have."""
    description: str


class WorkflowPage(ApiModel):
    """Some workflows, by their names."""

    workflows: list[WorkflowRow]
    next: str | None
    """`cursor` of the next page; null on the last."""


class InputsSchema(ApiModel):
    """A JSON schema (2020-12)."""

    model_config = ConfigDict(extra="allow")

    type: str
    properties: dict[str, Any]


class QueueView(ApiModel):
    """Where a waiting job is in its runtime's queue."""

    position: int | None
    """How many jobs are before it; null for more than 1000."""
    eta_s: float | None
    """In how many seconds it probably begins; null where no server is ready, so that nobody knows."""


class ProgressView(ApiModel):
    """How far a running job is; null for what its model server does not say."""

    fraction: float | None = None
    """From 0 to 1."""
    step: int | None = None
    steps: int | None = None
    """Sampling steps, of which `step` is done."""
    stage: str | None = None
    """What the model server does: the node of a workflow, or a word such as `sampling`."""
    preview: str | None = None
    """Where a picture of the unfinished result can be fetched, without a key, until the job ends."""


class OutputView(ApiModel):
    """One file of a job's result."""

    url: str
    """Where it can be fetched, without a key, until `expires_at`."""
    s3: str
    """Its s3:// link, for those with rights of their own in the bucket."""
    expires_at: datetime | None = None
    """When `url` ends: an hour or a little more from now. The job, asked for again, has a new one."""
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    seed: int | None = None
    name: str | None = None
    """What the model server called it."""


class JobErrorView(ApiModel):
    """Why a job failed."""

    code: str
    """A word for programs."""
    message: str
    """A sentence for people, in the model server's own words if there are any."""
    hint: str | None = None
    """What helps."""


class WarningView(ApiModel):
    """A part of a request that has no effect."""

    pointer: str
    detail: str


class Timings(ApiModel):
    """Seconds that the parts of a job took; null for what has not been."""

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
    """Grows with every change."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int
    """How often a model server began it."""
    queue: QueueView | None = None
    """Only while it waits, and only where one job is asked for."""
    progress: ProgressView | None = None
    """Only while it runs."""
    images: list[OutputView] = []
    files: list[OutputView] = []
    """Results that are no pictures."""
    manifest: OutputView | None = None
    """All of its results, with the parameters they were made with, as JSON."""
    error: JobErrorView | None = None
    retry_reason: str | None = None
    """Why the latest attempt was given up, where another follows."""
    retry_of: str | None = None
    """The job whose request it repeats."""
    cancel_requested: bool = False
    warnings: list[WarningView] = []
    """In the answer to its request alone."""
    timings: Timings = Timings()
    context: Any = None
    links: dict[str, str]
    """Where to go from here: self, events, request, cancel or retry."""


class JobPage(ApiModel):
    """Some jobs, the newest first."""

    jobs: list[JobView]
    next: str | None
    """`cursor` of the next page; null on the last."""


class Checked(ApiModel):
    """The answer to a dry run."""

    valid: bool
    warnings: list[WarningView] = []


class KeptRequest(ApiModel):
    """What was asked for."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    runtime: str
    type: str
    content: dict[str, Any]
    id: str
    prefix: str
    context: Any = None
    deadlines: AskedDeadlines | None = None
    keep: tuple[Literal["preview"], ...] | None = None
    webhook: Webhook | None = None


class BatchRequest(ApiRequest):
    """Jobs to submit together."""

    jobs: Annotated[list[JobRequest], Field(min_length=1, max_length=MAX_BATCH_JOBS)]
    """The requests, each of which is accepted or rejected by itself."""


class BatchAnswer(ApiModel):
    """What became of one request of a batch: a job, or a problem."""

    index: int
    """Its place in the request, from 0."""
    job: JobView | None = None
    problem: "Problem | None" = None


class SubmittedBatch(ApiModel):
    """The answers to a batch's requests, in their order."""

    batch: str | None
    """Its id; null where no request was accepted."""
    answers: list[BatchAnswer]


class BatchJob(ApiModel):
    """A job of a batch."""

    index: int
    job: str
    state: JobState | None
    """Null where the job is older than 90 days."""


class BatchView(ApiModel):
    """A batch."""

    model_config = ConfigDict(title="Batch")

    batch: str
    created_at: datetime
    states: dict[JobState, int]
    """How many of its jobs are in each state."""
    jobs: list[BatchJob]


Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
"""One that jobs can have, and with which one can do sums."""


class UsageQuery(ApiRequest):
    """Parameters of GET /v1/usage."""

    first: Annotated[Day | None, Field(alias="from")] = None
    """The first day, in UTC. Default: 30 days before the last."""
    last: Annotated[Day | None, Field(alias="to")] = None
    """The last day, in UTC. Default: today."""
    by: Literal["day"] | None = None
    """`day`: a row for each day. Default: one for all days."""
    cursor: Annotated[str, Field(pattern=JOB_ID_PATTERN)] | None = None
    """`next` of the answer before."""
    tenant: str | None = None
    """For keys with the role admin: whose jobs. Default: one's own."""


class UsageRow(ApiModel):
    """What the jobs of a runtime used."""

    day: date | None
    """On which they were submitted; null without `by=day`."""
    runtime: str
    jobs: int
    succeeded: int
    failed: int
    cancelled: int
    pictures: int
    gpu_seconds: float
    """How long model servers worked on those that succeeded or failed."""


class UsageView(ApiModel):
    """What jobs used."""

    model_config = ConfigDict(title="Usage")

    rows: list[UsageRow]
    next: str | None
    """`cursor` of the answer with the rest, to be added to this one; null where there is none."""


class RuntimeView(ApiModel):
    """A runtime, and how busy it is."""

    name: str
    type: str
    """What its servers are: `sdwebui`, `comfyui` or `flux`."""
    task_types: list[str]
    """What `type` of a job may be."""
    queued: int | None
    """Jobs that wait; null for more than 1000."""
    running: int
    """Jobs that run, as its servers said within the last minutes."""
    ready_servers: int
    """0 where it is scaled to zero: a job then waits until a server has started."""
    seconds_a_job: float | None
    """How long a job keeps a GPU; null where none has ended within the last hour."""
    eta_s: float | None
    """In how many seconds a job that is submitted now probably begins; null where nobody knows."""


class RuntimeList(ApiModel):
    """All runtimes."""

    runtimes: list[RuntimeView]


class SizesView(ApiModel):
    """Which sizes a runtime draws, in pixels; null for what is unknown."""

    default: int | None
    """Width and height unless a request says otherwise."""
    multiple_of: int | None
    """What width and height are multiples of."""
    max_pixels: int | None
    """The most that width times height may be."""


class RuntimeDetails(RuntimeView):
    """A runtime, how busy it is, and what it has."""

    is_live: bool
    """Whether its servers have said so lately; if not, this is what the configuration says."""
    models: list[str]
    """Checkpoints, and ComfyUI's diffusion models."""
    loras: list[str]
    vaes: list[str]
    samplers: list[str]
    schedulers: list[str]
    upscalers: list[str]
    node_classes: list[str] | None
    """ComfyUI's; null for other types, and where they are unknown."""
    sizes: SizesView | None


class SchemaQuery(ApiRequest):
    """Parameters of GET /v1/runtimes/{name}/schema."""

    type: str | None = None
    """The task type. Default: the runtime's first."""


class SecretView(ApiModel):
    """The secret of a tenant's webhooks."""

    secret: str
    """`whsec_` and base64, as Standard Webhooks has it."""
    version: int
    """Grows with every rotation."""
    previous_until: datetime | None
    """Until when webhooks are also signed with the secret before it; null where they are not."""


class DeliveryQuery(ApiRequest):
    """Parameters of GET /v1/webhooks/deliveries."""

    job: str
    """The job."""


class DeliveryView(ApiModel):
    """A webhook, and what became of it."""

    id: str
    """Header `webhook-id`."""
    job: str
    event: JobEvent
    state: Literal["delivered", "waiting", "failed"]
    """`waiting` for the next attempt, or `failed` for good."""
    attempts: int
    status: int | None
    """The receiver's HTTP status; null if it did not answer."""
    problem: str | None
    """What went wrong."""
    sent_at: datetime
    next_at: datetime | None
    """When the next attempt is made."""


class DeliveryPage(ApiModel):
    """A job's webhooks."""

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
    """A word for programs."""
    errors: list[ProblemField] = []
    """All that is wrong, at once."""
