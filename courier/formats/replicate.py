"""Replicate's predictions: https://replicate.com/docs/reference/http#predictions.get."""

from collections.abc import Mapping
from typing import Any

from contract.times import time_of
from jobs.job import Job, JobState
from jobs.links import ResultLinks

_STATUSES = {
    JobState.ACCEPTED: "starting",
    JobState.QUEUED: "starting",
    JobState.RUNNING: "processing",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "canceled",
}
"""Its clients reject every other word."""
_BAR = 20


def prediction(job: Job, links: ResultLinks, *, output: list[str] | None = None) -> dict[str, Any]:
    """A job as a prediction; ``output`` replaces the links to its results."""
    here = f"{links.base_url}/replicate/v1/predictions/{job.id}"
    if output is None:
        output = [link.url for link in links.of(job)]
    return {
        "id": job.id,
        "model": model_of(job),
        "version": "hidden",
        "input": {},
        "logs": logs_of(job),
        "output": output or None,
        "error": _error(job),
        "status": _STATUSES[job.state],
        "data_removed": False,
        "created_at": _time(job.created_s),
        "started_at": _time(job.started_s),
        "completed_at": _time(job.ended_s),
        "metrics": _metrics(job),
        "source": "api",
        "urls": {"get": here, "cancel": f"{here}/cancel", "web": here},
    }


def model_of(job: Job) -> str:
    """The model that its caller named; the runtime where another API made the job."""
    model = job.context.get("model") if isinstance(job.context, Mapping) else None
    return model if isinstance(model, str) else job.runtime


def logs_of(job: Job) -> str:
    """How far a running job is, as a line from which clients read its progress; "" for any other job."""
    if job.state is not JobState.RUNNING or job.progress is None:
        return ""
    step, steps = (job.step, job.steps) if job.step is not None and job.steps else (int(job.progress * 100), 100)
    done = int(job.progress * _BAR)
    return f"{int(job.progress * 100):3d}%|{'█' * done}{' ' * (_BAR - done)}| {step}/{steps}\n"


def _time(time_s: float | None) -> str | None:
    return None if time_s is None else time_of(time_s).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(job: Job) -> str | None:
    if job.state is not JobState.FAILED:
        return None
    return job.error.message if job.error else "The prediction failed."


def _metrics(job: Job) -> dict[str, float]:
    if job.started_s is None or job.ended_s is None:
        return {}
    return {"predict_time": round(max(0.0, job.ended_s - job.started_s), 3)}
