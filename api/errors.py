"""Refusals of the front door, and the JSON they become."""

from collections.abc import Iterable
from typing import Any

from contract.field_errors import MAX_FIELD_ERRORS, FieldError


class RequestError(Exception):
    """The request is refused.

    Attributes:
        status: HTTP status.
        code: One word for programs.
        message: A sentence for people.
        faults: Everything wrong with the request, where that is known field by field.
        headers: Further response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        faults: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.faults = faults or []
        self.headers = headers or {}


class InvalidRequestError(RequestError):
    """The request has faults; all of them are named, up to MAX_FIELD_ERRORS."""

    def __init__(self, faults: list[FieldError]) -> None:
        if len(faults) > MAX_FIELD_ERRORS:
            message = (
                f"The request has more than {MAX_FIELD_ERRORS} faults; details names the first {MAX_FIELD_ERRORS}."
            )
        elif len(faults) > 1:
            message = f"The request has {len(faults)} faults; details names each."
        else:
            message = f"{faults[0].field or 'The request'} {faults[0].problem}"
        super().__init__(400, "invalid_request", message, faults)


class IdempotencyConflictError(RequestError):
    """The caller's Idempotency-Key stands for another request."""

    def __init__(self) -> None:
        super().__init__(
            409, "idempotency_conflict", "This Idempotency-Key was used for another request; use a new one."
        )


def fault_rows(faults: Iterable[FieldError]) -> list[dict[str, str]]:
    """Faults as answers tell them."""
    return [{"field": fault.field, "problem": fault.problem} for fault in faults]


def error_body(code: str, message: str, faults: list[FieldError] | None = None) -> dict[str, Any]:
    """The JSON of every refusal."""
    return {"error": {"code": code, "message": message, "details": fault_rows((faults or [])[:MAX_FIELD_ERRORS])}}
