"""What a caller asks for when it wants to be told of its job: a URL, and the events to send there."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

JobEvent = Literal["started", "progress", "output", "completed"]


class Webhook(BaseModel):
    """Where a caller wants to be told of its job, and of what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    events: tuple[JobEvent, ...] = ("completed",)
