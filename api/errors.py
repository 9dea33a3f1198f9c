"""Errors of the front door, and the JSON they become.

RequestError                    answered with its status
├── InvalidRequestError         400, with the error of each field
├── UnauthorizedError           401
├── IdempotencyConflictError    409
├── BudgetError                 429, with the time after which to try again
└── ThrottledError              429, to be tried again after a second
"""

from collections.abc import Iterable
from typing import Any

from contract.field_errors import MAX_FIELD_ERRORS, FieldError


class RequestError(Exception):
    """The request is rejected with an HTTP status, a word for programs, and a sentence for people.

    ``errors`` lists the errors by field, if they are known. ``headers`` are added to the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors or []
        self.headers = headers or {}


class InvalidRequestError(RequestError):
    """The request has errors; all of them are named, up to MAX_FIELD_ERRORS."""

    def __init__(self, errors: list[FieldError]) -> None:
        limit = MAX_FIELD_ERRORS
        if len(errors) > limit:
            message = f"The request has more than {limit} faults; details names the first {limit}."
        elif len(errors) > 1:
            message = f"The request has {len(errors)} faults; details names each."
        else:
            message = f"{errors[0].pointer or 'The request'} {errors[0].detail}"
        super().__init__(400, "invalid_request", message, errors)


class UnauthorizedError(RequestError):
    """The request has no key that is known."""

    def __init__(self) -> None:
        super().__init__(
            401, "unauthorized", "The API key is missing or not known; send it as x-api-key or in Authorization."
        )


class IdempotencyConflictError(RequestError):
    """The caller's Idempotency-Key stands for another request."""

    def __init__(self) -> None:
        super().__init__(
            409, "idempotency_conflict", "This Idempotency-Key was used for another request; use a new one."
        )


class BudgetError(RequestError):
    """The caller has reached the limit of its key; it may try again after ``retry_after_s``."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(429, "over_budget", message, headers={"Retry-After": str(retry_after_s)})


class ThrottledError(RequestError):
    """The caller takes too much of the API at once; it may try again after a second."""

    def __init__(self, message: str) -> None:
        super().__init__(429, "throttled", message, headers={"Retry-After": "1"})


def error_rows(errors: Iterable[FieldError]) -> list[dict[str, str]]:
    """Field errors as answers list them."""
    return [{"field": error.pointer, "problem": error.detail} for error in errors]


def error_body(code: str, message: str, errors: list[FieldError] | None = None) -> dict[str, Any]:
    """The JSON of every rejection."""
    return {"error": {"code": code, "message": message, "details": error_rows((errors or [])[:MAX_FIELD_ERRORS])}}
