"""A job's states as server-sent events."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from api.faces.v1.models.jobs import QueueView
from contract import strict_json
from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.job import Job, JobState

_QUEUE_EVERY_S = 5.0
_WAITING = {JobState.ACCEPTED, JobState.QUEUED}

logger = logging.getLogger(__name__)


class JobEvents:
    """Writes what has changed from one state of a job to the next.

    Args:
        render: A job as JSON.
        queue_place: A waiting job's place.
        seen: The latest version that the caller has seen; 0 for none.
    """

    def __init__(
        self,
        *,
        render: Callable[[Job], dict[str, Any]],
        queue_place: Callable[[Job], QueueView | None],
        seen: int,
    ) -> None:
        self._render = render
        self._queue_place = queue_place
        self._seen = seen
        self._sent: dict[str, Any] = {}
        self._is_waiting = True
        self._place_at_s = 0.0

    def is_due(self, now_s: float) -> bool:
        """Whether the job's place in the queue should be looked at again."""
        return self._is_waiting and now_s >= self._place_at_s

    def events(self, job: Job, now_s: float) -> Iterator[str]:
        """What is new since the last call; of a job that has ended, at last ``end``."""
        self._is_waiting = job.state in _WAITING
        if job.version > self._seen:
            shown = self._render(job)
            yield from self._changed("state", {"state": job.state, "attempts": job.attempts}, job)
            if job.retry_reason and not job.state.is_final:
                yield from self._changed("log", {"message": job.retry_reason}, job)
            if progress := shown["progress"]:
                preview = progress.pop("preview")
                if any(value is not None for value in progress.values()):
                    yield from self._changed("progress", progress, job)
                if preview:
                    yield from self._changed("preview", {"url": preview, "at": job.previewed_s}, job)
            for output in (*shown["images"], *shown["files"]):
                yield _event("output", output, job)
            self._seen = job.version
        if self.is_due(now_s):
            self._place_at_s = now_s + _QUEUE_EVERY_S
            if (place := self._place(job)) is not None:
                yield from self._changed("queue", place.model_dump(), job)
        if job.state.is_final:
            yield _event("end", self._render(job), job)

    def cut(self, job: Job) -> str:  # noqa: ARG002 (of the protocol)
        """Nothing: clients come back and name the last event that they have."""
        return ""

    def _place(self, job: Job) -> QueueView | None:
        """A job's place; None where it cannot be read now, which must not end the stream."""
        try:
            return self._queue_place(job)
        except AWS_ERRORS as exc:
            logger.warning("no place in the queue: job %s, %s", job.id, error_name(exc))
            return None

    def _changed(self, kind: str, data: dict[str, Any], job: Job) -> Iterator[str]:
        if self._sent.get(kind) != data:
            self._sent[kind] = data
            yield _event(kind, data, job)


def _event(kind: str, data: dict[str, Any], job: Job) -> str:
    return f"id: {job.version}\nevent: {kind}\ndata: {strict_json.utf8(data)}\n\n"
