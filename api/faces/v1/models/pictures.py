"""What ``/v1/pictures`` takes and answers."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from api.faces.v1.models.base import ApiModel, ApiRequest
from contract.field_errors import shown
from contract.inputs import is_link
from jobs.job import JobState
from runtimes.pictures import Guidance, PictureFormat, Seed, Side, Steps, Strength

MAX_PROMPT_BYTES = 2048
"""A URL has room for little more."""
MAX_WAIT_S = 25
DEFAULT_WAIT_S = 20
MAX_LINK_CHARS = 8000
"""As much as every server should take (RFC 9110, 4.1). API Gateway takes 10,240 bytes with all headers."""
MAX_LINK_S = 24 * 3600
"""As long as an Idempotency-Key, so that a link stands for one picture."""


def _check_bytes(value: str) -> str:
    if len(value.encode("utf-8", "surrogatepass")) > MAX_PROMPT_BYTES:
        raise ValueError(f"must have at most {MAX_PROMPT_BYTES} bytes of UTF-8; POST /v1/jobs takes longer ones")
    return value


def _check_link(value: str) -> str:
    if not is_link(value):
        raise ValueError("must be a link: http, https or s3")
    return value


_Text = Annotated[str, AfterValidator(_check_bytes)]


class PictureParameters(ApiRequest):
    """A picture in words that all runtimes share."""

    prompt: Annotated[_Text, Field(min_length=1)]
    """What the picture shows, up to 2,048 bytes."""
    runtime: Annotated[str, Field(max_length=256)] | None = None
    """Name of a runtime. Default: the first one that can draw from a prompt."""
    negative_prompt: _Text | None = None
    """What it does not show."""
    width: Side | None = None
    """Width in pixels. Default: the model's."""
    height: Side | None = None
    """Height in pixels. Default: the model's."""
    seed: Seed | None = None
    """Default: random."""
    steps: Steps | None = None
    """Sampling steps. Default: the model's."""
    guidance: Guidance | None = None
    """How closely the picture follows the prompt. Default: the model's."""
    image: Annotated[str, Field(max_length=2048), AfterValidator(_check_link)] | None = None
    """Link to a picture to start from."""
    strength: Strength | None = None
    """How far the result may depart from `image`: 0 keeps it, 1 ignores it."""
    format: PictureFormat | None = None
    """File format. Default: the runtime's."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_boolean(cls, value: Any) -> Any:
        """A boolean is a number to Python alone; in a query it is a text."""
        if isinstance(value, bool):
            raise ValueError(f"must not be {shown(value)}")  # noqa: TRY004 (pydantic takes no TypeError)
        return value


class PictureQuery(PictureParameters):
    """Parameters of GET /v1/pictures."""

    wait: Annotated[int, Field(ge=0, le=MAX_WAIT_S)] = DEFAULT_WAIT_S
    """How many seconds to wait for the picture."""
    redirect: bool = False
    """Whether to answer 303 with the picture's address instead of 200."""


class PictureLinkRequest(PictureParameters):
    """A picture to link to."""

    expires_in: Annotated[int, Field(ge=60, le=MAX_LINK_S)] = 3600
    """Seconds until the link expires."""


class PictureLinkQuery(ApiRequest):
    """Parameters of a link to a picture."""

    token: Annotated[str, Field(min_length=1, max_length=MAX_LINK_CHARS)]
    """What the API has signed."""
    n: Annotated[int, Field(ge=0, le=100)] = 0
    """How often the link has led to itself."""


class PictureView(ApiModel):
    """A picture, or the job that draws it."""

    url: str | None
    """Link to the picture, valid for about an hour; null while it is not ready."""
    prompt: str
    """The prompt as you sent it."""
    job: str
    """Id of the job that draws it."""
    runtime: str
    """Name of the runtime that draws it."""
    state: JobState
    """State of the job."""
    content_type: str | None = None
    """Media type of the picture."""
    width: int | None = None
    """Width in pixels."""
    height: int | None = None
    """Height in pixels."""
    seed: int | None = None
    """The seed that was used, if the model server reports it."""
    expires_at: datetime | None = None
    """When `url` expires."""
    links: dict[str, str]
    """The job's URLs."""


class PictureLinkView(ApiModel):
    """A link to a picture."""

    url: str
    """The link: it needs no key, and draws one picture, when it is first opened."""
    expires_at: datetime
    """When it expires."""
