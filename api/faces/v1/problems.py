"""Writes rejections as API v1 has them: problem details (RFC 9457)."""

import re
from http import HTTPStatus

from api.errors import RequestError
from api.faces.v1.models.problems import Problem, ProblemField
from contract.field_errors import MAX_FIELD_ERRORS, FieldError

PROBLEM = "application/problem+json"
_SUGGESTION = re.compile(r"; did you mean (.+)\?$")
_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


def problem_of(error: RequestError) -> Problem:
    """A rejection as problem details."""
    return Problem(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=_detail(error),
        code=error.code,
        errors=[_field(one) for one in error.errors[:MAX_FIELD_ERRORS]],
    )


def _detail(error: RequestError) -> str:
    count = len(error.errors)
    if count > MAX_FIELD_ERRORS:
        return f"The request has more than {MAX_FIELD_ERRORS} errors; the first {MAX_FIELD_ERRORS} are listed."
    return f"The request has {count} errors; all are listed." if count > 1 else error.message


def _field(error: FieldError) -> ProblemField:
    suggestion = _SUGGESTION.search(error.detail)
    return ProblemField(
        pointer=_pointer(error.pointer),
        detail=_SUGGESTION.sub("", error.detail),
        suggestion=suggestion and suggestion.group(1),
    )


def _pointer(path: str) -> str:
    """A field's path as a JSON pointer in a URI fragment; names of headers and parameters stay."""
    if path.startswith("?") or path == "Idempotency-Key":
        return path
    steps = [number or name for number, name in _STEP.findall(path)]
    return "#" + "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
