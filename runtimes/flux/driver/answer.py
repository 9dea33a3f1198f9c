"""The server's word on a job, and its refusals."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal, TypeVar

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
from runtimes._http import Answer, read_json
from runtimes._wording import is_out_of_room, shorten

_TASK_FAULTS: Mapping[str, type[TaskError]] = {
    "refused": Rejected,
    "failed": ExecutionFailed,
}
"""What a job's error code says of the task; all others are the server's trouble."""
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})


class _Reported(BaseModel):
    model_config = ConfigDict(frozen=True)


_ReportedT = TypeVar("_ReportedT", bound=_Reported)


class Problem(_Reported):
    """Why a job failed."""

    code: str
    message: str


class Picture(_Reported):
    """A picture that the server keeps."""

    number: int
    kind: str
    seed: int | None = None


class Report(_Reported):
    """A job as the server has it."""

    state: Literal["waiting", "running", "encoding", "succeeded", "failed", "cancelled"]
    batch: int | None = None
    error: Problem | None = None
    outputs: tuple[Picture, ...] = ()
    parameters: dict[str, Any] = {}
    timings_s: dict[str, float | None] = {}
    warnings: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it will never change again."""
        return self.state in {"succeeded", "failed", "cancelled"}

    @property
    def would_end_so_again(self) -> bool:
        """Whether nothing is gained by running the job once more: it goes on, gave its pictures, or is at fault."""
        return not isinstance(self.fault, ServerError)

    @property
    def fault(self) -> AgentError | None:
        """Why the job gave nothing; None where it has, or may still."""
        if self.state == "cancelled":
            return ServerError("The job was cancelled in the model server.")
        if self.state != "failed":
            return None
        if self.error is None:
            return ExecutionFailed("The model server reports a failure and gives no reason.")
        words = shorten(self.error.message)
        kind = _TASK_FAULTS.get(self.error.code)
        if kind is None or is_out_of_room(words):
            return ServerError(f"The model server failed, {self.error.code.replace('_', ' ')}: {words}")
        return kind(words)

    @property
    def pictures(self) -> list[Picture]:
        """What it gave, an early look first."""
        return sorted(self.outputs, key=lambda picture: (picture.kind != "preview", picture.number))


class Worker(_Reported):
    """A process of the server's that has a GPU."""

    state: str
    restarts: int
    given_up: bool = False


class Served(_Reported):
    """What the server draws with, in how many steps and of what size unless told, and how many pictures at once."""

    source: str | None = None
    steps: int | None = None
    size: int = 1024
    max_batch: int = 1


class Health(_Reported):
    """How the server is."""

    live: bool
    ready: bool
    workers: tuple[Worker, ...]
    model: Served = Served()


def read_health(answer: Answer) -> Health:
    """Read what the server says of itself.

    Raises:
        ServerError: No worker of its will come back, or its answer makes no sense.
        ServerLoading: None is there yet, or again.
    """
    health = _checked(Health, read_json(answer.body))
    if not health.live:
        raise ServerError("The model server has no worker left.")
    if not health.ready:
        raise ServerLoading("The model server loads its model.")
    return health


def read_report(answer: Answer) -> Report:
    """Read what the server answers when it is asked for a job.

    Raises:
        ServerError: It does not know the job, or its answer makes no sense.
    """
    if answer.status == HTTPStatus.NOT_FOUND:
        raise ServerError("The model server has lost the job; it was restarted.")
    if answer.status != HTTPStatus.OK:
        raise ServerError(f"The model server answers {answer.status} to the question for a job.")
    return report_of(read_json(answer.body))


def report_of(row: Any) -> Report:
    """Read what the server tells of a job.

    Raises:
        ServerError: It makes no sense.
    """
    return _checked(Report, row)


def refusal(answer: Answer) -> AgentError:
    """Read what the server answers when it does not take a job."""
    status = answer.status
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return ServerAway("The model server is not ready.")
    try:
        body = read_json(answer.body)
    except ServerError:
        body = None
    detail = body.get("detail") if isinstance(body, dict) else None
    if not detail or status not in _REFUSALS:
        return ServerError(f"The model server answers {status} to a job.")
    return Rejected(shorten("; ".join(map(_words, detail)) if isinstance(detail, list) else str(detail)))


def _checked(model: type[_ReportedT], row: Any) -> _ReportedT:
    try:
        return model.model_validate(row)
    except ValidationError as exc:
        raise ServerError("The model server's word makes no sense.") from exc


def _words(fault: Any) -> str:
    """A fault as the task's author should read it: the task's content is the ``request`` of what is posted."""
    if not isinstance(fault, dict):
        return str(fault)
    field = str(fault.get("field", "")).removeprefix("request.")
    return f"{field} {fault.get('problem', '')}".strip()
