"""A prediction's server-sent events: https://replicate.com/docs/topics/predictions/streaming."""

from collections.abc import Callable, Iterator

from contract import strict_json
from courier.formats.replicate import logs_of
from jobs.job import Job, JobState


class PredictionEvents:
    """Writes the events ``logs``, ``output``, ``error`` and ``done``; clients reject all others, and any without id."""

    def __init__(self, output: Callable[[Job], list[str]]) -> None:
        self._output = output
        self._logs = ""
        self._sent = 0

    def is_due(self, now_s: float) -> bool:  # noqa: ARG002
        """Whether something besides the job itself may have changed."""
        return False

    def events(self, job: Job, now_s: float) -> Iterator[str]:  # noqa: ARG002
        """What is new since the last call."""
        if (logs := logs_of(job)) and logs != self._logs:
            self._logs = logs
            yield self._event("logs", logs.rstrip("\n"))
        if not job.state.is_final:
            return
        for output in self._output(job):
            yield self._event("output", output)
        reason = {}
        if job.state is JobState.FAILED:
            detail = job.error.message if job.error else "The prediction failed."
            yield self._event("error", strict_json.dumps({"detail": detail}))
            reason = {"reason": "error"}
        elif job.state is JobState.CANCELLED:
            reason = {"reason": "canceled"}
        yield self._event("done", strict_json.dumps(reason))

    def cut(self, job: Job) -> str:
        """An error, which every client raises or shows: the prediction goes on."""
        detail = f"The stream ends here, and prediction {job.id} goes on; get it by its id."
        return self._event("error", strict_json.dumps({"detail": detail}))

    def _event(self, kind: str, data: str) -> str:
        self._sent += 1
        return f"event: {kind}\nid: {self._sent}:0\ndata: {data}\n\n"
