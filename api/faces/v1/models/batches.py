"""What ``/v1/batches`` takes and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from api.faces.v1.models.base import ApiModel, ApiRequest
from api.faces.v1.models.jobs import JobRequest, JobView
from api.faces.v1.models.problems import Problem
from jobs.job import JobState

MAX_BATCH_JOBS = 100


class BatchRequest(ApiRequest):
    """Several jobs to submit in one request."""

    jobs: Annotated[list[JobRequest], Field(min_length=1, max_length=MAX_BATCH_JOBS)]
    """The requests. Each is accepted or rejected separately."""


class BatchAnswer(ApiModel):
    """The result of one request in a batch: a job or a problem."""

    index: int
    """Its position in the request, starting at 0."""
    job: JobView | None = None
    problem: Problem | None = None


class SubmittedBatch(ApiModel):
    """The results of a batch's requests, in the same order."""

    batch: str | None
    """Its id; null if no request was accepted, or if the batch itself could not be stored."""
    answers: list[BatchAnswer]


class BatchJob(ApiModel):
    """A job of a batch."""

    index: int
    job: str
    state: JobState | None
    """Null if the job is older than 90 days."""


class BatchView(ApiModel):
    """A batch."""

    model_config = ConfigDict(title="Batch")

    batch: str
    created_at: datetime
    states: dict[JobState, int]
    """Number of its jobs in each state."""
    jobs: list[BatchJob]
