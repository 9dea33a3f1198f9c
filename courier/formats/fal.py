"""fal's results and webhooks: https://docs.fal.ai/model-apis/model-endpoints/webhooks."""

from typing import Any

from jobs.job import Job, JobState
from jobs.links import ResultLink, ResultLinks


def fal_webhook(job: Job, links: ResultLinks) -> dict[str, Any]:
    """What fal posts when a request has ended."""
    told = {"request_id": job.id, "gateway_request_id": job.id}
    if job.state is JobState.SUCCEEDED:
        return {**told, "status": "OK", "payload": pictures(job, links)}
    return {**told, "status": "ERROR", "error": failure(job)["detail"], "payload": failure(job)}


def pictures(job: Job, links: ResultLinks) -> dict[str, Any]:
    """The result of a request that has succeeded."""
    found = links.of(job)
    seeds = [link.known.seed for link in found if link.known and link.known.seed is not None]
    spent_s = job.ended_s - job.started_s if job.started_s is not None and job.ended_s is not None else None
    return {
        "images": [_image(link) for link in found],
        "seed": seeds[0] if seeds else None,
        "has_nsfw_concepts": [False] * len(found),
        "timings": {} if spent_s is None else {"inference": round(spent_s, 3)},
    }


def failure(job: Job) -> dict[str, Any]:
    """Why a request has no result. Clients show ``detail`` or ``message``, each its own one."""
    if job.state is JobState.FAILED and job.error is not None:
        message, kind = job.error.message, job.error.code
    else:
        message, kind = "Request was cancelled", "client_cancelled"
    return {"detail": message, "message": message, "error_type": kind}


def _image(link: ResultLink) -> dict[str, Any]:
    known = link.known
    return {
        "url": link.url,
        "content_type": link.content_type,
        "file_name": link.key.rpartition("/")[2],
        "file_size": known.size_bytes if known else None,
        "width": known.width if known else None,
        "height": known.height if known else None,
    }
