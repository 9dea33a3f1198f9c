"""What this package raises.

ClientError
├── ApiError            the API rejects the request; its status, code, detail and errors say why
│   ├── InvalidRequest      400, 413, 415, 422: correct the request; errors names every field at fault
│   ├── Unauthorized        401, 403: the key is missing, unknown, or may not do this
│   ├── NotFound            404: there is none, or none of yours
│   ├── Conflict            409: not in the state that the job is in
│   ├── TooManyRequests     429: come back after retry_after_s
│   │   └── OverBudget          so many jobs may you have, and no more
│   └── Unavailable         5xx: the API has a problem of its own
├── Unreachable         the API does not answer
├── UnexpectedAnswer    what answers is not this API; base_url is probably wrong
├── JobFailed           the job has ended without a result; job has the reason
├── WaitTimeout         the job has not ended in the time that its caller waits; it goes on
├── InvalidWebhook      the webhook does not come from the platform, or is too old
└── NotConfigured       nothing says where the API is, or with which key
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
        pointer: Where it is, as a JSON pointer (``#/content/steps``), or the name of a header or parameter.
        detail: What is wrong with it.
        suggestion: What was probably meant; None if nothing is near.
    """

    pointer: str
    detail: str
    suggestion: str | None = None

    def __str__(self) -> str:
        meant = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.pointer} {self.detail}{meant}"


class ClientError(Exception):
    """Anything that this package raises."""


class ApiError(ClientError):
    """The API rejects a request.

    Attributes:
        status: The HTTP status.
        code: A word for programs, such as ``invalid_request``.
        detail: A sentence for people.
        errors: All that is wrong with the request, field by field.
        retry_after_s: When to come back; None if the API does not say.
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
    """The key is missing, unknown, or may not do this."""


class NotFound(ApiError):
    """There is none, or none of yours."""


class Conflict(ApiError):
    """The job is in a state in which this is not possible."""


class TooManyRequests(ApiError):
    """Too many requests at once."""


class OverBudget(TooManyRequests):
    """The key may have no more jobs at the moment."""


class Unavailable(ApiError):
    """The API has a problem of its own."""


class Unreachable(ClientError):
    """The API does not answer."""


class UnexpectedAnswer(ClientError):
    """What answers is not this API."""


class JobFailed(ClientError):
    """A job has ended without a result."""

    def __init__(self, job: Job) -> None:
        self.job = job
        reason = job.error
        super().__init__(f"Job {job.job}: {reason.code}: {reason.message}" if reason else f"Job {job.job}: {job.state}")


class WaitTimeout(ClientError):
    """A job has not ended in time; it goes on."""

    def __init__(self, job: Job, timeout_s: float) -> None:
        self.job = job
        super().__init__(f"Job {job.job} is {job.state} after {timeout_s:g} s; it goes on.")


class InvalidWebhook(ClientError):
    """A webhook does not come from the platform, or is too old."""


class NotConfigured(ClientError):
    """Nothing says where the API is, or with which key."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    **dict.fromkeys((400, 413, 415, 422), InvalidRequest),
    **dict.fromkeys((401, 403), Unauthorized),
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
}


def error_of(response: httpx.Response) -> ApiError:
    """The error that an answer is.

    The API writes problem details (RFC 9457), API Gateway and older versions ``{"error": {code, message, details}}``.
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
