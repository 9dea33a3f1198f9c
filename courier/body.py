"""The body of a webhook: the event, and the job's state at the time of sending, without prompt or signed link."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from contract.notice import JobError
from contract.objects import s3_url
from contract.times import time_of
from courier.delivery import Delivery
from jobs.commands import MAX_OUTPUTS
from jobs.job import Job, JobState, StoredOutput
from jobs.view import job_fields, output_fields, progress_fields


class _BodyPart(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class WebhookImage(_BodyPart):
    """A picture in the output bucket."""

    s3: str
    """Its s3:// link."""
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    seed: int | None = None
    name: str | None = None
    """The model server's own file name."""


class WebhookManifest(_BodyPart):
    """JSON file in the output bucket that lists all results of a job with the parameters used to make them."""

    s3: str
    """Its s3:// link."""


class WebhookProgress(_BodyPart):
    """How far a running job has got. Fields that its model server does not report are null."""

    fraction: float | None
    """From 0 to 1."""
    step: int | None
    steps: int | None
    stage: str | None
    """The workflow node that runs, or a word such as "sampling"."""


class WebhookJob(_BodyPart):
    """A job, with the field names of the API."""

    job: str
    task_id: str
    runtime: str
    type: str
    state: JobState
    version: int
    """Increases with every change. If webhooks arrive out of order, the higher version is the newer state."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    progress: WebhookProgress | None
    images: tuple[WebhookImage, ...]
    """The first 100; the manifest lists all."""
    manifest: WebhookManifest | None
    error: JobError | None
    context: Any
    """The caller's own JSON."""


class WebhookBody(_BodyPart):
    """The body of a webhook."""

    type: Literal["job.started", "job.progress", "job.output", "job.completed"]
    timestamp: datetime
    """When the event happened."""
    data: WebhookJob


def webhook_body(delivery: Delivery, job: Job, bucket: str) -> bytes:
    """Build the body of a webhook. ``bucket`` is the output bucket."""
    body = WebhookBody.model_validate(
        {"type": f"job.{delivery.event}", "timestamp": time_of(delivery.at_s), "data": _job(job, bucket)}
    )
    return body.model_dump_json().encode()


def _job(job: Job, bucket: str) -> WebhookJob:
    progress = WebhookProgress(**progress_fields(job))
    return WebhookJob(
        **job_fields(job),
        progress=progress if any(value is not None for _, value in progress) else None,
        images=tuple(_image(s3_url(bucket, key), known) for key, known in job.results[:MAX_OUTPUTS]),
        manifest=WebhookManifest(s3=s3_url(bucket, job.names.answer_key)) if job.has_manifest else None,
        error=job.error,
    )


def _image(s3: str, known: StoredOutput | None) -> WebhookImage:
    return WebhookImage(s3=s3, content_type=None if known is None else known.content_type, **output_fields(known))
