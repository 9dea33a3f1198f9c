"""Faults of an input, as its author should read them: which field, what is wrong with it."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input.

    Attributes:
        field: Path of the field, as ``task.metadata.id`` or ``modelsRuntime[0].name``; "" is the whole input.
        problem: A sentence without a subject: "is required", "must be one of …".
    """

    field: str
    problem: str


_PROBLEMS = {
    "missing": "is required",
    "extra_forbidden": "is not a known key",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "may have at most {max_length} characters",
    "too_long": "may have at most {max_length} items",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
}


def field_path(parts: Iterable[str | int]) -> str:
    """Join the steps to a field: names by dots, positions in brackets."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def faults_of(error: ValidationError, at: tuple[str | int, ...] = ()) -> list[Fault]:
    """Translate all errors of a pydantic validation.

    Args:
        error: What pydantic raised.
        at: Where the validated value stands inside the whole input.
    """
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        problem = _PROBLEMS.get(detail["type"], "").format_map(detail.get("ctx", {}))
        if not problem:
            # A validator of ours raises ValueError with the sentence itself; pydantic's own begin with "Input should".
            problem = detail["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
        found.append(Fault(field_path((*at, *detail["loc"])), problem))
    return found
