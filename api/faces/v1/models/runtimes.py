"""What ``/v1/runtimes`` takes and answers."""

from api.faces.v1.models.base import ApiModel, ApiRequest
from contract.queues import Priority


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


class RuntimeContents(ApiModel):
    """What a runtime offers."""

    is_live: bool
    """Whether the lists come from its running servers. If false, they come from the configuration."""
    models: tuple[str, ...]
    """Checkpoints, and ComfyUI's diffusion models."""
    loras: tuple[str, ...]
    vaes: tuple[str, ...]
    samplers: tuple[str, ...]
    schedulers: tuple[str, ...]
    upscalers: tuple[str, ...]
    node_classes: tuple[str, ...] | None
    """ComfyUI's node classes; null for other types, or if unknown."""
    sizes: SizesView | None


class RuntimeDetails(RuntimeContents, RuntimeView):
    """A runtime, how busy it is, and which models it has."""


class SchemaQuery(ApiRequest):
    """Parameters of GET /v1/runtimes/{name}/schema."""

    type: str | None = None
    """Task type. Default: the runtime's first one."""
