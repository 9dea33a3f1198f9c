"""The errors that this package raises.

ClientError
├── ApiError            the API rejects the request; status, code, detail and errors say why
│   ├── InvalidRequest      400, 413, 415, 422: correct the request; errors lists every wrong field
│   ├── Unauthorized        401, 403: the key is missing, unknown, or not allowed to do this
│   ├── NotFound            404: it does not exist, or is not yours
│   ├── Conflict            409: not possible in the current state
│   ├── TooManyRequests     429: try again after retry_after_s
│   │   └── OverBudget          you have reached your limit of jobs
│   └── Unavailable         5xx: the API has a problem of its own
├── Unreachable         the API does not answer
├── UnexpectedAnswer    something other than this API answers; base_url is probably wrong
├── JobFailed           the job failed or was cancelled; job.error says why
├── WaitTimeout         the job did not end while you waited; it keeps running
├── InvalidWebhook      the webhook does not come from the platform, or is too old
└── NotConfigured       the API's URL or key is missing or unusable
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from sd_on_eks.models import Job


@dataclass(frozen=True)
class InvalidField:
    """What is wrong with one field of a request.

    Attributes:
        pointer: JSON pointer to the field (``#/content/steps``), or the name of a header or parameter.
        detail: What is wrong with it.
        suggestion: What you probably meant; None if nothing similar exists.
    """

    pointer: str
    detail: str
    suggestion: str | None = None

    def __str__(self) -> str:
        meant = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.pointer} {self.detail}{meant}"


class ClientError(Exception):
    """Base class of all errors in this package."""


class ApiError(ClientError):
    """The API rejects a request.

    Attributes:
        status: The HTTP status.
        code: Error code, for programs, such as ``invalid_request``.
        detail: Explanation for people.
        errors: Every wrong field.
        retry_after_s: Seconds to wait before you try again; None if the API does not say.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: tuple[InvalidField, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.retry_after_s = retry_after_s
        is_all = len(errors) == 1 and errors[0].detail in detail
        super().__init__("\n  ".join([f"{detail} ({status} {code})", *map(str, () if is_all else errors)]))


class InvalidRequest(ApiError):
    """The request has errors."""


class Unauthorized(ApiError):
    """The key is missing, unknown, or not allowed to do this."""


class NotFound(ApiError):
    """It does not exist, or is not yours."""


class Conflict(ApiError):
    """This is not possible in the current state."""


class TooManyRequests(ApiError):
    """Too many requests at once."""


class OverBudget(TooManyRequests):
    """You have reached your limit of jobs."""


class Unavailable(ApiError):
    """The API has a problem of its own."""


class Unreachable(ClientError):
    """The API does not answer."""


class UnexpectedAnswer(ClientError):
    """Something other than this API answers."""


class JobFailed(ClientError):
    """A job failed or was cancelled; ``job.error`` says why it failed."""

    def __init__(self, job: Job) -> None:
        self.job = job
        reason = job.error
        super().__init__(f"Job {job.job}: {reason.code}: {reason.message}" if reason else f"Job {job.job}: {job.state}")


class WaitTimeout(ClientError):
    """A job did not end while its caller waited. It keeps running."""

    def __init__(self, job: Job, timeout_s: float) -> None:
        self.job = job
        super().__init__(f"Job {job.job} is {job.state} after {timeout_s:g} s; it goes on.")


class InvalidWebhook(ClientError):
    """A webhook does not come from the platform, or is too old."""


class NotConfigured(ClientError):
    """The API's URL or key is missing or unusable."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    **dict.fromkeys((400, 413, 415, 422), InvalidRequest),
    **dict.fromkeys((401, 403), Unauthorized),
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
}


def error_of(response: httpx.Response) -> ApiError:
    """Convert an error answer into an exception.

    The API sends problem details (RFC 9457); API Gateway and older versions send
    ``{"error": {code, message, details}}``.
    """
    status = response.status_code
    problem = _problem(response)
    code = str(problem.get("code", ""))
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else ApiError)  # noqa: PLR2004
    after = response.headers.get("retry-after", "")
    return (OverBudget if code == "over_budget" else kind)(
        status,
        code or response.reason_phrase,
        str(problem.get("detail") or problem.get("message") or response.text[:200] or "The answer is empty."),
        tuple(_fields(problem)),
        float(after) if after.isdecimal() else None,
    )


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    return body["error"] if isinstance(body.get("error"), dict) else body


def _fields(problem: Mapping[str, Any]) -> list[InvalidField]:
    rows = problem.get("errors", problem.get("details", []))
    return [
        InvalidField(
            pointer=str(row.get("pointer", row.get("field", ""))),
            detail=str(row.get("detail", row.get("problem", ""))),
            suggestion=row.get("suggestion"),
        )
        for row in rows
        if isinstance(row, dict)
    ]
