"""RunPod's jobs: https://docs.runpod.io/serverless/endpoints/operation-reference."""

from collections.abc import Mapping
from typing import Any

from jobs.job import Job, JobState
from jobs.links import ResultLinks

WORKER = "worker"
"""Key of a job's context: whose output its caller expects."""
COMFYUI, A1111 = "worker-comfyui", "worker-a1111"
"""RunPod's own workers, at github.com/runpod-workers."""
STATUSES = {
    JobState.ACCEPTED: "IN_QUEUE",
    JobState.QUEUED: "IN_QUEUE",
    JobState.RUNNING: "IN_PROGRESS",
    JobState.SUCCEEDED: "COMPLETED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "CANCELLED",
}
_TIMED_OUT = {"deadline_exceeded", "start_deadline_exceeded"}


def endpoint_job(job: Job, links: ResultLinks) -> dict[str, Any]:
    """A job, with links to its results."""
    shown: dict[str, Any] = {"id": job.id, "status": STATUSES[job.state]}
    if job.started_s is not None:
        shown["delayTime"] = _milliseconds(job.created_s, job.started_s)
        if job.ended_s is not None:
            shown["executionTime"] = _milliseconds(job.started_s, job.ended_s)
    if job.state is JobState.SUCCEEDED:
        shown["output"] = _output(job, links)
    elif job.error is not None:
        shown["error"] = job.error.message
        if job.error.code in _TIMED_OUT:
            shown["status"] = "TIMED_OUT"
    return shown


def worker_of(job: Job) -> str | None:
    """Whose output its caller expects; None where links alone will do."""
    worker = job.context.get(WORKER) if isinstance(job.context, Mapping) else None
    return worker if worker in {COMFYUI, A1111} else None


def _output(job: Job, links: ResultLinks) -> dict[str, Any]:
    found = links.of(job)
    if worker_of(job) == COMFYUI:
        names = [link.known.name if link.known and link.known.name else link.key.rpartition("/")[2] for link in found]
        files = [
            {"filename": name, "type": "s3_url", "data": link.url} for name, link in zip(names, found, strict=True)
        ]
        return {"images": files}
    return {"image_url": found[0].url if found else None, "images": [link.url for link in found]}


def _milliseconds(since_s: float, until_s: float) -> int:
    return round(max(0.0, until_s - since_s) * 1000)
