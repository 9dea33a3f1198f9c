"""Writes jobs as API v1 shows them."""

from collections.abc import Sequence
from typing import Any

from api.faces.v1.models.jobs import JobErrorView, JobView, ProgressView, QueueView, Timings, WarningView
from api.faces.v1.models.outputs import OutputView
from api.operations.outputs import Outputs, StoredFile
from contract.field_errors import FieldError
from contract.objects import s3_url
from contract.times import time_of
from jobs.job import Job, JobState
from jobs.view import job_fields, output_fields, progress_fields

_HINTS = {
    "start_deadline_exceeded": "No server took it in time: see GET /v1/runtimes/{runtime}, or ask for a longer "
    "deadlines.start_seconds.",
    "deadline_exceeded": "Ask for fewer steps or a smaller picture, or for a longer deadlines.execution_seconds.",
    "lost": "The server's node went away, as Spot nodes do: retry it.",
    "attempts_exhausted": "The server failed at each attempt, as the message says: retry it once the cause is gone.",
    "input_failed": "See whether the link can be reached and is what its field takes.",
}


def job_view(
    job: Job,
    *,
    base_url: str,
    outputs: Outputs,
    queue: QueueView | None = None,
    warnings: Sequence[FieldError] = (),
) -> dict[str, Any]:
    """A job as JSON. ``base_url`` is the API's own URL."""
    here = f"{base_url}/v1/jobs/{job.id}"
    results = _outputs(job, base_url, outputs)
    manifest, preview = outputs.manifest(job), outputs.preview(job)
    view = JobView(
        **job_fields(job),
        priority=job.priority,
        attempts=job.attempts,
        queue=queue,
        progress=_progress(job, None if preview is None else _linked(preview, base_url, outputs).url),
        images=[one for one in results if (one.content_type or "image/").startswith("image/")],
        files=[one for one in results if not (one.content_type or "image/").startswith("image/")],
        manifest=None if manifest is None else _linked(manifest, base_url, outputs),
        error=_error(job),
        retry_reason=None if job.state.is_final else job.retry_reason,
        retry_of=job.retry_of,
        cancel_requested=job.cancel_requested,
        warnings=[WarningView(pointer=one.pointer, detail=one.detail) for one in warnings],
        timings=_timings(job),
        tenant=job.tenant,
        links=_links(job, here),
    )
    return view.model_dump(mode="json")


def has_links(job: Job) -> bool:
    """Whether a job is shown with links that end."""
    return bool(job.pictures or job.has_manifest or job.previewed_s is not None)


def _outputs(job: Job, base_url: str, outputs: Outputs) -> list[OutputView]:
    return [
        _linked(file, base_url, outputs).model_copy(update=output_fields(known))
        for file, (_, known) in zip(outputs.files(job), job.results, strict=True)
    ]


def _linked(file: StoredFile, base_url: str, outputs: Outputs) -> OutputView:
    link = outputs.signed(file)
    return OutputView(
        url=f"{base_url}/{link.path}",
        s3=s3_url(outputs.bucket, file.key),
        expires_at=time_of(link.expires_s),
        content_type=file.content_type or None,
    )


def _progress(job: Job, preview: str | None) -> ProgressView | None:
    if job.state is not JobState.RUNNING:
        return None
    return ProgressView(**progress_fields(job), preview=preview)


def _error(job: Job) -> JobErrorView | None:
    if job.error is None:
        return None
    hint = _HINTS.get(job.error.code)
    return JobErrorView(
        code=job.error.code,
        message=job.error.message,
        hint=None if hint is None else hint.replace("{runtime}", job.runtime),
    )


def _timings(job: Job) -> Timings:
    began_s = job.started_s if job.started_s is not None else job.ended_s
    stages = {f"{name}_s": seconds for name, seconds in job.stages_s.items() if f"{name}_s" in Timings.model_fields}
    return Timings(queued_s=None if began_s is None else round(max(0.0, began_s - job.created_s), 3), **stages)


def _links(job: Job, here: str) -> dict[str, str]:
    action = "retry" if job.state.is_final else "cancel"
    return {"self": here, "events": f"{here}/events", "request": f"{here}/request", action: f"{here}/{action}"}
