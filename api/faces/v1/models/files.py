"""What ``/v1/files`` takes and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from api.faces.v1.models.base import ApiModel, ApiRequest
from contract.inputs import MAX_LINK_BYTES
from contract.models import Form


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
