"""What ``/v1/usage`` takes and answers."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.faces.v1.models.base import ApiModel, ApiRequest
from contract.ids import JOB_ID_PATTERN

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
