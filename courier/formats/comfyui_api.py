"""comfyui-api's results and webhooks: https://github.com/SaladTechnologies/comfyui-api."""

from collections.abc import Mapping
from typing import Any

from contract.objects import s3_url
from contract.times import time_of
from jobs.job import Job, JobState
from jobs.links import ResultLinks

BUCKET = "s3"
"""Key of a job's context: the bucket in which its caller looks for the results."""


def prompt_ended(job: Job, links: ResultLinks) -> dict[str, Any]:
    """What ``webhook_v2`` gets; links stand for pictures, and the prompt is left out."""
    ended_at = time_of(job.ended_s or job.created_s).isoformat()
    if job.state is not JobState.SUCCEEDED:
        return {"type": "prompt.failed", "timestamp": ended_at, "id": job.task_id, "error": failure(job)}
    told = {"type": "prompt.complete", "timestamp": ended_at, "id": job.task_id}
    return {**told, "images": images(job, links), "filenames": filenames(job), "stats": stats(job)}


def output_complete(job: Job, links: ResultLinks) -> dict[str, Any]:
    """What ``webhook`` gets: the first picture as in comfyui-api, which calls once for each picture, and all links."""
    if job.state is not JobState.SUCCEEDED:
        return {"event": "prompt.failed", "id": job.task_id, "error": failure(job)}
    told = {"event": "output.complete", "id": job.task_id, "images": images(job, links), "filenames": filenames(job)}
    first = {"image": next(iter(told["images"]), None), "filename": next(iter(told["filenames"]), None)}
    return {**told, **first, "stats": stats(job)}


def images(job: Job, links: ResultLinks) -> list[str]:
    """Where the pictures are: in the bucket that the caller named, or behind links that need no key."""
    bucket = bucket_of(job)
    return [link.url if bucket is None else s3_url(bucket, link.key) for link in links.of(job)]


def bucket_of(job: Job) -> str | None:
    """The bucket in which a job's caller looks for the results; None where it named none."""
    bucket = job.context.get(BUCKET) if isinstance(job.context, Mapping) else None
    return bucket if isinstance(bucket, str) else None


def filenames(job: Job) -> list[str]:
    """ComfyUI's own names of the pictures."""
    return [known.name if known and known.name else key.rpartition("/")[2] for key, known in job.results]


def failure(job: Job) -> str:
    """Why a job has no pictures."""
    return job.error.message if job.error else f"The job is {job.state}."


def stats(job: Job) -> dict[str, Any]:
    """How long a job took, in milliseconds; when each node ran is unknown."""
    started_s, ended_s = job.started_s or job.created_s, job.ended_s or job.created_s
    run, store = (round(job.stages_s.get(name, 0) * 1000) for name in ("run", "store"))
    return {
        "comfy_execution": {
            "start": round(started_s * 1000),
            "end": round(ended_s * 1000),
            "duration": run,
            "nodes": {},
        },
        "preprocess_time": max(0, round((ended_s - started_s) * 1000) - run - store),
        "comfy_round_trip_time": run,
        "postprocess_time": 0,
        "upload_time": store,
        "total_time": round((ended_s - job.created_s) * 1000),
    }
