"""The body of a webhook: the event, and the job's state at the time of sending, without prompt or signed link."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from contract.notice import JobError
from contract.objects import s3_url
from courier.delivery import Delivery
from jobs.commands import MAX_OUTPUTS
from jobs.job import Job, JobState


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
        {"type": f"job.{delivery.event}", "timestamp": _time(delivery.at_s), "data": _job(job, bucket)}
    )
    return body.model_dump_json().encode()


def _job(job: Job, bucket: str) -> WebhookJob:
    progress = WebhookProgress(fraction=job.progress, step=job.step, steps=job.steps, stage=job.stage)
    return WebhookJob(
        job=job.id,
        task_id=job.task_id,
        runtime=job.runtime,
        type=job.tasktype,
        state=job.state,
        version=job.version,
        created_at=_time(job.created_s),
        started_at=None if job.started_s is None else _time(job.started_s),
        ended_at=None if job.ended_s is None else _time(job.ended_s),
        progress=progress if any(value is not None for _, value in progress) else None,
        images=tuple(_images(job, bucket)),
        manifest=WebhookManifest(s3=s3_url(bucket, job.names.answer_key)) if job.has_manifest else None,
        error=job.error,
        context=job.context,
    )


def _images(job: Job, bucket: str) -> list[WebhookImage]:
    images = []
    for key, known in job.results[:MAX_OUTPUTS]:
        facts = {} if known is None else {**known.model_dump(), "bytes": known.size_bytes}
        images.append(WebhookImage.model_validate({**facts, "s3": s3_url(bucket, key)}))
    return images


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
