"""A delivery: one event of a job on its way to the job's webhook. It travels as a message of the courier's queue."""

import re
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from contract import strict_json
from contract.ids import JOB_ID_PATTERN
from contract.webhooks import JobEvent
from jobs.job import Job

_ID = re.compile(rf"({JOB_ID_PATTERN.strip('^$')})-(started|progress|output|completed)-([0-9]+)")


class Delivery(BaseModel):
    """One event of a job, and its next attempt. The body is written when the attempt is made."""

    model_config = ConfigDict(frozen=True)

    job: str
    event: JobEvent
    version: int
    """The job's version at the event."""
    at_s: float
    """When it happened, seconds since 1970."""
    tenant: str | None = None
    attempt: int = 1
    due_s: float = 0
    """When to attempt it, seconds since 1970."""

    @classmethod
    def of_end(cls, job: Job) -> Self:
        """Return the delivery for a job's end."""
        at_s = job.ended_s or job.created_s
        return cls(job=job.id, event="completed", version=job.version, at_s=at_s, tenant=job.tenant)

    @property
    def id(self) -> str:
        """The webhook's id, the same for all attempts and all messages of an event."""
        return f"{self.job}-{self.event}-{self.version}"

    @property
    def is_retried(self) -> bool:
        """Whether a failed attempt is repeated. Progress is not: the next one comes soon."""
        return self.event != "progress"

    def again(self, due_s: float) -> Self:
        """Return the next attempt, due at ``due_s``."""
        return self.model_copy(update={"attempt": self.attempt + 1, "due_s": due_s})


def job_of_delivery(delivery_id: str) -> str | None:
    """Return the job in a delivery's id; None if it is not a delivery's id."""
    found = _ID.fullmatch(delivery_id)
    return found[1] if found else None


def read_message(body: str) -> Delivery | str | None:
    """Read a message of the courier's queue: a delivery, or a notice, of which this returns the job's id.

    Returns None for a notice without a job. Notices come with or without SNS's envelope.

    Raises:
        ValueError: It is neither.
    """
    message: Any = strict_json.loads(body)
    if isinstance(message, dict) and isinstance(message.get("Message"), str):
        message = strict_json.loads(message["Message"])
    if not isinstance(message, dict):
        raise ValueError("the message is no JSON object")  # noqa: TRY004 (as all errors of a message)
    if "event" in message:
        return Delivery.model_validate(message)
    job = message.get("job")
    if job is not None and not isinstance(job, str):
        raise ValueError("the notice's job is no text")
    return job
