"""What the requests for a job's files take, and how a file is shown."""

from datetime import datetime

from api.faces.v1.models.base import ApiModel, ApiRequest


class OutputQuery(ApiRequest):
    """Parameters of requests for a file."""

    redirect: bool = True
    """Whether to redirect to S3, or to send the file itself."""


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
