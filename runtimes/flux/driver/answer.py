"""What the flux server answers: reports of jobs, its health, and why it rejects a request."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from queue_agent.errors import (
    AgentError,
    ExecutionFailed,
    Rejected,
    ServerAway,
    ServerError,
    ServerLoading,
    TaskError,
)
from runtimes._http import Answer, as_object
from runtimes._queued import JobReport, ServerState
from runtimes._wording import is_out_of_room, shorten

_TASK_ERRORS: Mapping[str, type[TaskError]] = {"refused": Rejected, "failed": ExecutionFailed}
"""Error codes of jobs that are the task's own; all others are the server's trouble."""
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})


class _Answered(BaseModel):
    model_config = ConfigDict(frozen=True)

    @classmethod
    def read(cls, value: Any) -> Self:
        try:
            return cls.model_validate(value)
        except ValidationError as exc:
            raise ServerError("The model server returned an unexpected response.") from exc


class _ReportedError(_Answered):
    code: str
    message: str


class _KeptPicture(_Answered):
    number: int
    kind: str
    seed: int | None = None


class ReportedJob(_Answered):
    """A job as the server has it."""

    state: ServerState
    batch: int | None = None
    error: _ReportedError | None = None
    outputs: tuple[_KeptPicture, ...] = ()
    parameters: dict[str, Any] = {}
    timings_s: dict[str, float | None] = {}
    warnings: tuple[str, ...] = ()

    @property
    def pictures(self) -> list[_KeptPicture]:
        """What it gave, an early look first."""
        return sorted(self.outputs, key=lambda picture: (picture.kind != "preview", picture.number))


class _ReportedWorker(_Answered):
    state: str
    restarts: int
    given_up: bool = False


class ServedModel(_Answered):
    """What the server draws with, its default steps and size, and how many pictures it draws at once.

    ``card`` is its ``ModelCard``, as JSON; servers of an earlier version do not say it.
    """

    source: str | None = None
    steps: int | None = None
    size: int = 1024
    max_batch: int = 1
    card: dict[str, Any] | None = None


class FluxHealth(_Answered):
    """How the server is."""

    live: bool
    ready: bool
    workers: tuple[_ReportedWorker, ...]
    model: ServedModel = ServedModel()


def read_health(answer: Answer) -> FluxHealth:
    """Read what the server says of itself.

    Raises:
        ServerError: None of its workers will come back, or the answer cannot be understood.
        ServerLoading: No worker is ready yet, or again.
    """
    health = FluxHealth.read(answer.json())
    if not health.live:
        raise ServerError("The model server has no worker left.")
    if not health.ready:
        raise ServerLoading("The model server is loading its model.")
    return health


def read_report(answer: Answer) -> JobReport | None:
    """Read what the server answers when it is asked for a job; None where it does not know the job."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status != HTTPStatus.OK:
        raise ServerError(f"The model server answers {answer.status} when asked for a job.")
    return report_of(answer.json())


def report_of(row: Any) -> JobReport:
    """Read what the server says of a job; ServerError where that cannot be understood."""
    job = ReportedJob.read(row)
    return JobReport(state=job.state, error=_error_of(job), batch=job.batch, details=job)


def refusal(answer: Answer) -> AgentError:
    """Read what the server answers when it does not accept a job."""
    status = answer.status
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return ServerAway("The model server is not ready.")
    detail = as_object(answer.json_or_none()).get("detail")
    if not detail or status not in _REFUSALS:
        return ServerError(f"The model server answers {status} to a job.")
    return Rejected(shorten("; ".join(map(_words, detail)) if isinstance(detail, list) else str(detail)))


def _error_of(job: ReportedJob) -> AgentError | None:
    if job.state == "cancelled":
        return ServerError("The job was cancelled in the model server.")
    if job.state != "failed":
        return None
    if job.error is None:
        return ExecutionFailed("The model server reports a failure without a reason.")
    words = shorten(job.error.message)
    kind = _TASK_ERRORS.get(job.error.code)
    if kind is None or is_out_of_room(words):
        return ServerError(f"The model server failed, {job.error.code.replace('_', ' ')}: {words}")
    return kind(words)


def _words(error: Any) -> str:
    """An error as the task's author should read it: the task's content is the ``request`` of what is posted."""
    if not isinstance(error, dict):
        return str(error)
    field = str(error.get("field", "")).removeprefix("request.")
    return f"{field} {error.get('problem', '')}".strip()
