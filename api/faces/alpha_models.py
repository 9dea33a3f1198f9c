"""The bodies of API v1alpha1 and v1alpha2 as models. Only the OpenAPI document is made from them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from contract.deadlines import AskedDeadlines
from contract.task import DEFAULT_PREFIX, Prefix, TaskId


class AlphaModel(BaseModel):
    """A part of these APIs."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class AlphaMetadata(AlphaModel):
    """What the platform reads of a task."""

    id: TaskId
    """Your name for the task, part of the keys of its results."""
    runtime: str
    """A runtime of config.yaml."""
    tasktype: str
    """What the runtime shall do, such as `text-to-image`."""
    prefix: Prefix = DEFAULT_PREFIX
    """First part of the S3 keys of its results."""
    context: Any = None
    """Any JSON, up to 16 KiB, which comes back with the notice."""
    deadlines: AskedDeadlines | None = None
    """Deadlines within the runtime's limits."""


class AlphaTask(AlphaModel):
    """A task."""

    metadata: AlphaMetadata
    content: dict[str, Any]
    """The model server's own request."""


class V1Alpha2Request(AlphaModel):
    """A request of v1alpha2."""

    task: AlphaTask


class AlphaScripts(AlphaModel):
    """The platform's fields among SD WebUI's scripts; all others go to SD WebUI."""

    model_config = ConfigDict(extra="allow")

    task: str
    """`text-to-image`, `image-to-image` or `extra-batch-images`."""
    sd_model_checkpoint: Annotated[str, Field(min_length=1)]
    """The checkpoint, which selects the runtime."""
    id_task: TaskId
    """Your name for the task, part of the keys of its results."""
    save_dir: Prefix = DEFAULT_PREFIX
    """First part of the S3 keys of its results."""
    image_link: str | None = None
    """A link to the input picture."""


class V1Alpha1Request(AlphaModel):
    """A request of v1alpha1: SD WebUI's own body, with the platform's fields in its scripts."""

    model_config = ConfigDict(extra="allow")

    alwayson_scripts: AlphaScripts


class AlphaProblem(AlphaModel):
    """One error, or one part of a request that has no effect."""

    field: str
    """Its path, such as `task.content.steps`."""
    problem: str


class AlphaAnswer(AlphaModel):
    """An accepted task."""

    id_task: str
    output_location: str
    """The folder in S3 where the results will be."""
    job: str
    """The id of this submission: GET /v1/jobs/{job} shows it."""
    runtime: str | None = None
    """In v1alpha2."""
    sd_model_checkpoint: str | None = None
    """In v1alpha1."""
    warnings: list[AlphaProblem] | None = None


class AlphaErrorBody(AlphaModel):
    """What is wrong."""

    code: str
    """A word for programs."""
    message: str
    """A sentence for people."""
    details: list[AlphaProblem]
    """All errors of the request, at once."""


class AlphaError(AlphaModel):
    """A rejection by v1alpha1 or v1alpha2, or by the gateway before any version."""

    error: AlphaErrorBody
