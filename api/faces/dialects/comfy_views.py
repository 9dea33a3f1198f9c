"""Jobs as Comfy API v2 shows them: all keys are there, since its client takes no job without one."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from api.faces.dialects.dialect import DialectCall
from contract.times import time_of
from jobs.job import Job, JobState
from jobs.links import links_end_s
from jobs.schema import RETENTION_S

_WORDS = {
    JobState.ACCEPTED: "queued",
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "canceled",
}
_KINDS = {"image", "video", "audio", "text"}


def job_view(call: DialectCall, job: Job) -> dict[str, Any]:
    """A job with all that is known of it."""
    here = f"{urlsplit(call.base_url).path}/api/v2/jobs/{job.id}"
    place = call.services.queues.place(job)
    return {
        "id": job.id,
        "status": status_of(job),
        "created_at": moment(job.created_s),
        "started_at": moment(job.started_s),
        "completed_at": moment(job.ended_s),
        "expires_at": moment(job.created_s + RETENTION_S),
        "queue_position": None if place is None else place.position,
        "progress": progress_of(job),
        "outputs": outputs_of(call, job),
        "error": None if job.error is None else {"code": job.error.code, "message": job.error.message},
        "urls": {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel"},
        "metadata": labels_of(job),
    }


def status_of(job: Job) -> str:
    """A job's state in the API's words."""
    return "canceling" if job.cancel_requested and not job.state.is_final else _WORDS[job.state]


def labels_of(job: Job) -> dict[str, str]:
    """The labels that its caller gave a job; {} for any other context."""
    given = job.context if isinstance(job.context, dict) else {}
    return {name: value for name, value in given.items() if isinstance(value, str)}


def progress_of(job: Job) -> dict[str, Any] | None:
    """How far a job is; None if that is unknown. How many nodes have run is never known."""
    if job.progress is None:
        return None
    counts = {"nodes_done": 0, "nodes_total": 0, "step": job.step, "steps": job.steps}
    return {"value": job.progress, **counts, "message": job.stage}


def outputs_of(call: DialectCall, job: Job) -> list[dict[str, Any]]:
    """The files of a job that has succeeded, with the nodes that saved them."""
    if job.state is not JobState.SUCCEEDED:
        return []
    nodes = _nodes(call.manifest(job))
    expires_at = moment(links_end_s(call.links.now_s))
    outputs = []
    for number, link in enumerate(call.links.of(job), start=1):
        name = link.known.name if link.known and link.known.name else link.key.rpartition("/")[2]
        kind = link.content_type.partition("/")[0]
        outputs.append(
            {
                "node_id": nodes[name].pop(0) if nodes[name] else "",
                "name": name,
                "type": kind if kind in _KINDS else "file",
                "content_type": link.content_type or "application/octet-stream",
                "size_bytes": link.known.size_bytes if link.known else 0,
                "id": f"{job.id}.{number}",
                "hash": None,
                "url": link.url,
                "url_expires_at": expires_at,
                "job_id": job.id,
            }
        )
    return outputs


def moment(seconds: float | None) -> str | None:
    """A time with its zone; None for none."""
    return None if seconds is None else time_of(seconds).isoformat()


def _nodes(manifest: Mapping[str, Any]) -> defaultdict[str, list[str]]:
    """The nodes that saved files of a name, from the history that ComfyUI answered."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for node, given in ((manifest.get("answer") or {}).get("outputs") or {}).items():
        for items in given.values():
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict) and item.get("filename"):
                    found[item["filename"]].append(node)
    return found
