"""What callers see of a job, under the names that the API and the webhooks share."""

from typing import Any

from contract.times import time_of
from jobs.job import Job, StoredOutput


def job_fields(job: Job) -> dict[str, Any]:
    """What the job is, its state, its times, and its caller's own JSON."""
    return {
        "job": job.id,
        "task_id": job.task_id,
        "runtime": job.runtime,
        "type": job.tasktype,
        "state": job.state,
        "version": job.version,
        "created_at": time_of(job.created_s),
        "started_at": None if job.started_s is None else time_of(job.started_s),
        "ended_at": None if job.ended_s is None else time_of(job.ended_s),
        "context": job.context,
    }


def progress_fields(job: Job) -> dict[str, Any]:
    """How far its model server has got."""
    return {"fraction": job.progress, "step": job.step, "steps": job.steps, "stage": job.stage}


def output_fields(output: StoredOutput | None) -> dict[str, Any]:
    """What is known of one file of its result, besides the media type."""
    if output is None:
        return {}
    return {**output.model_dump(include={"width", "height", "seed", "name"}), "bytes": output.size_bytes}
