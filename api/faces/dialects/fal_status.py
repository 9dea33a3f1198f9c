"""How far a request of fal's is: its status, and streams of it."""

from collections.abc import Callable, Iterator
from typing import Any

from api.faces.dialects.dialect import DialectCall
from contract import strict_json
from contract.times import time_of
from jobs.job import Job, JobState

_WAITING = {JobState.ACCEPTED, JobState.QUEUED}
_DUE_EVERY_S = 5.0
_PERCENT = 100


def status_of(call: DialectCall, job: Job) -> dict[str, Any]:
    """A status of the three that clients know; a request that is cancelled or failed is COMPLETED, too.

    One whose cancellation was asked for counts as such at once: the Python client cannot end before.
    """
    if job.state.is_final or job.cancel_requested:
        return {"status": "COMPLETED", "logs": [], **_end(job)}
    if job.state in _WAITING:
        place = call.services.queues.place(job)
        return {"status": "IN_QUEUE", "queue_position": 0 if place is None else place.position}
    return {"status": "IN_PROGRESS", "logs": _logs(job)}


def is_over(job: Job, *, has_logs: bool) -> Callable[[Job], bool]:
    """Whether a state of a job is another than the one that its caller has just been told, or will be."""

    def differs(latest: Job) -> bool:
        is_done = latest.state.is_final or latest.cancel_requested
        return is_done or latest.state is not job.state or (has_logs and latest.version > job.version)

    return differs


class StatusEvents:
    """A request's status, whenever it changes; ends with COMPLETED."""

    def __init__(self, shown: Callable[[Job], dict[str, Any]]) -> None:
        self._shown = shown
        self._sent: dict[str, Any] = {}
        self._due_s = 0.0
        self._waits = True

    def is_due(self, now_s: float) -> bool:
        """Whether the place in the queue should be looked at again."""
        return self._waits and now_s >= self._due_s

    def events(self, job: Job, now_s: float) -> Iterator[str]:
        """The status, if it is another than the last one sent."""
        self._waits, self._due_s = job.state in _WAITING, now_s + _DUE_EVERY_S
        if (shown := self._shown(job)) != self._sent:
            self._sent = shown
            yield _event(shown)

    def cut(self, job: Job) -> str:  # noqa: ARG002
        """Nothing: clients have the last status, and ask for the result, which says that the request goes on."""
        return ""


class RunEvents:
    """How far a request is, and at last its result, or why it has none."""

    def __init__(self, outcome: Callable[[Job], dict[str, Any]]) -> None:
        self._outcome = outcome
        self._told: float | None = None

    def is_due(self, now_s: float) -> bool:  # noqa: ARG002
        """Whether something besides the job itself may have changed."""
        return False

    def events(self, job: Job, now_s: float) -> Iterator[str]:  # noqa: ARG002
        """What is new since the last call."""
        if job.state.is_final:
            yield _event(self._outcome(job))
        elif job.progress is not None and job.progress != self._told:
            self._told = job.progress
            yield _event({"progress": job.progress, "images": []})

    def cut(self, job: Job) -> str:
        """Where the result will be."""
        message = f"The stream ends here, and request {job.id} goes on; ask for its result."
        return _event({"detail": message, "message": message})


def _end(job: Job) -> dict[str, Any]:
    if job.state is JobState.SUCCEEDED:
        spent = None if job.started_s is None or job.ended_s is None else round(job.ended_s - job.started_s, 3)
        return {"metrics": {} if spent is None else {"inference_time": spent}}
    if job.state is JobState.FAILED and job.error is not None:
        return {"error": job.error.message, "error_type": job.error.code}
    return {"error": "Request was cancelled", "error_type": "client_cancelled"}


def _logs(job: Job) -> list[dict[str, Any]]:
    """The one line that there is of a running request."""
    if job.progress is None:
        return []
    text = f"{job.step}/{job.steps}" if job.steps else f"{job.progress * _PERCENT:.0f} %"
    line = {"message": f"{job.stage or 'step'} {text}", "level": "INFO", "source": "USER"}
    return [{**line, "timestamp": time_of(job.started_s or job.created_s).isoformat()}]


def _event(data: dict[str, Any]) -> str:
    return f"data: {strict_json.utf8(data)}\n\n"
