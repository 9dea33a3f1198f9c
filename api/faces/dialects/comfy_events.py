"""A job's states as the server-sent events of Comfy API v2."""

import base64
import logging
from collections.abc import Iterator
from typing import Any

from api.errors import RequestError
from api.faces.dialects.comfy_views import outputs_of, progress_of, status_of
from api.faces.dialects.dialect import DialectCall
from contract import strict_json
from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.job import Job, JobState

_QUEUE_EVERY_S = 5.0

logger = logging.getLogger(__name__)


class ComfyEvents:
    """Writes what has changed from one state of a job to the next; its last event is the final status."""

    def __init__(self, call: DialectCall) -> None:
        self._call = call
        self._sent: dict[str, Any] = {}
        self._is_waiting = True
        self._place_at_s = 0.0
        self._place: int | None = None

    def is_due(self, now_s: float) -> bool:
        """Whether the job's place in the queue should be looked at again."""
        return self._is_waiting and now_s >= self._place_at_s

    def events(self, job: Job, now_s: float) -> Iterator[str]:
        """What is new since the last call."""
        self._is_waiting = job.state in {JobState.ACCEPTED, JobState.QUEUED}
        if self.is_due(now_s):
            self._place_at_s = now_s + _QUEUE_EVERY_S
            self._look_at_queue(job)
        if not job.state.is_final:
            place = self._place if self._is_waiting else None
            yield from self._changed("status", {"status": status_of(job), "queue_position": place})
            if job.retry_reason:
                yield from self._changed("log", {"level": "warning", "message": job.retry_reason})
            if (progress := progress_of(job)) is not None:
                yield from self._changed("progress", progress)
            if self._sent.get("previewed") != job.previewed_s:
                self._sent["previewed"] = job.previewed_s
                yield from self._preview(job)
            return
        for output in outputs_of(self._call, job):
            yield _event("output", output)
        yield _event("status", {"status": status_of(job)})

    def cut(self, job: Job) -> str:  # noqa: ARG002 (of the protocol)
        """Nothing: the client looks at the job, and comes back."""
        return ""

    def _look_at_queue(self, job: Job) -> None:
        """Read a job's place; the last one stays where it cannot be read, which must not end the stream."""
        try:
            place = self._call.services.queues.place(job)
            self._place = None if place is None else place.position
        except AWS_ERRORS as exc:
            logger.warning("no place in the queue: job %s, %s", job.id, error_name(exc))

    def _preview(self, job: Job) -> Iterator[str]:
        outputs = self._call.services.outputs
        file = outputs.preview(job)
        if file is None:
            return
        try:
            opened = outputs.open(file)
            data = base64.b64encode(b"".join(opened.pieces())).decode()
        except (RequestError, *AWS_ERRORS):
            return  # the next one may come
        yield _event("preview", {"node_id": "", "content_type": opened.content_type, "data_base64": data})

    def _changed(self, kind: str, data: dict[str, Any]) -> Iterator[str]:
        if self._sent.get(kind) != data:
            self._sent[kind] = data
            yield _event(kind, data)


def _event(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {strict_json.utf8(data)}\n\n"
