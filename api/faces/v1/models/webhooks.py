"""What ``/v1/webhooks`` takes and answers."""

from datetime import datetime
from typing import Literal

from api.faces.v1.models.base import ApiModel, ApiRequest
from contract.webhooks import JobEvent


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

    job: str | None = None
    """The job. Default: your jobs, newest first, 50 of them in a page."""
    cursor: str | None = None
    """`next` from the previous page."""


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
    """Webhooks."""

    deliveries: list[DeliveryView]
    next: str | None
    """`cursor` for the webhooks of older jobs; null on the last page, and for a single job."""
