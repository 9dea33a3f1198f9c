"""A task on its way through the door."""

from dataclasses import dataclass
from datetime import UTC, datetime

from api.idempotency import IdempotencyKey
from contract.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A task without errors, and what the platform knows of it.

    Attributes:
        request: The task as its caller sent it.
        job: The job that does it.
        accepted_s: When it was accepted, seconds since 1970.
        start_s: Within how many seconds it must be started.
        tenant: Whose it is.
        key: The caller's Idempotency-Key.
        traceparent: The trace that it was submitted in.
    """

    request: Task
    job: str
    accepted_s: float
    start_s: float
    tenant: str | None
    key: IdempotencyKey | None
    traceparent: str | None

    @property
    def task(self) -> Task:
        """The task with the platform's own metadata."""
        submitted_at = datetime.fromtimestamp(self.accepted_s, UTC)
        platform_keys = {"job": self.job, "tenant": self.tenant, "submitted_at": submitted_at}
        return self.request.model_copy(update={"metadata": self.request.metadata.model_copy(update=platform_keys)})

    @property
    def start_by_s(self) -> float:
        """Its start deadline, seconds since 1970."""
        return self.accepted_s + self.start_s
