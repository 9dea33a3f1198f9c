"""Errors in an input, written for its author: the field, what is wrong with it, and the value seen."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from contract.models import FORM

MAX_FIELD_ERRORS = 100
"""Errors listed in one answer, so that a body with a million errors does not exceed what Lambda can send."""
MAX_FIELD_CHARACTERS = 200
MAX_PROBLEM_CHARACTERS = 1000
_MAX_VALUE_CHARACTERS = 60
_MIN_PART = 4
"""Letters that a name needs to count as a part of another."""

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error in an input; long texts are cut.

    Attributes:
        pointer: The field's path, such as ``task.metadata.id`` or ``modelsRuntime[0].name``; "" for the whole input.
        detail: A sentence without a subject: "is required", "must be one of …".
    """

    pointer: str
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "pointer", cut(self.pointer, MAX_FIELD_CHARACTERS))
        object.__setattr__(self, "detail", cut(self.detail, MAX_PROBLEM_CHARACTERS))


_A_TIME = "must be a time with its zone, as 2026-01-31T12:00:00Z"
_PROBLEMS = {
    "missing": "is required",
    "extra_forbidden": "is not a known key",
    "invalid_key": "has a key that is no text; keys are put in quotes",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "may have at most {max_length} characters",
    "too_short": "must have at least {min_length}",
    "too_long": "may have at most {max_length} items",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "datetime_type": _A_TIME,
    "datetime_parsing": _A_TIME,
    "datetime_from_date_parsing": _A_TIME,
    "timezone_aware": _A_TIME,
}
_SHOW_NO_VALUE = {"missing", "extra_forbidden", "string_too_short", "string_too_long", "too_short", "too_long"}
_QUOTED = {"bool_type": ("true", "false", "yes", "no", "on", "off"), "int_type": (), "float_type": ()}


def cut(text: str, max_characters: int) -> str:
    """Cut a text to a length; a cut text ends in "…"."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def field_path(parts: Iterable[str | int]) -> str:
    """Write the way to a field: names separated by dots, positions in brackets."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def one_of(names: Sequence[str]) -> str:
    """List names as a choice: "a", "a or b", "a, b or c"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name nearest to an unknown one, as "; did you mean throttle?"; "" if none is near."""
    by_letters = {_letters(word): word for word in known}
    given = _letters(name[:80])
    part = given.removesuffix("s") if len(given) >= _MIN_PART else given
    longer = sorted((letters for letters in by_letters if len(part) >= _MIN_PART and part in letters), key=len)
    beginning = [letters for letters in longer if letters.startswith(part)]
    shorter = sorted((letters for letters in by_letters if len(letters) >= _MIN_PART and letters in given), key=len)
    near = [*beginning, *difflib.get_close_matches(given, by_letters, n=1, cutoff=0.7), *longer, *reversed(shorter)]
    return f"; did you mean {by_letters[near[0]]}?" if near else ""


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def shown(value: Any) -> str:
    """A value as it appears in a sentence: short, and written as JSON."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return json.dumps(cut(value, _MAX_VALUE_CHARACTERS), ensure_ascii=False)
    return cut(json.dumps(value, ensure_ascii=False, default=str), _MAX_VALUE_CHARACTERS)


def field_errors_of(error: ValidationError, model: type[BaseModel], data: Any, at: FieldPath = ()) -> list[FieldError]:
    """Translate all errors of a pydantic validation: one error for each mistake, at a field that the input has.

    ``at`` is the path of the validated part inside the whole input.
    """
    tries: dict[FieldPath, dict[FieldPath, list[tuple[FieldPath, str]]]] = {}
    for detail in map(dict, error.errors(include_url=False)):
        path, union, member = _place(detail, data)
        tries.setdefault(union, {}).setdefault(member, []).append((path, _problem(detail, model)))
    return [
        FieldError(field_path((*at, *path)), problem)
        for union, members in tries.items()
        for path, problem in _of_union(union, members)
    ]


def _place(detail: Mapping[str, Any], data: Any) -> tuple[FieldPath, FieldPath, FieldPath]:
    """An error's path, and the path and the member of the first union on its way.

    pydantic names a union's members by steps that are not keys of the input. Without a union, each error has its own.
    """
    loc = detail["loc"]
    path: list[str | int] = []
    union: FieldPath | None = None
    member: list[str | int] = []
    for number, step in enumerate(loc):
        is_last = number == len(loc) - 1
        inside = _inside(data, step)
        if inside or (is_last and detail["type"] == "missing"):
            path.append(step)
            data = data[step] if inside else None
        elif isinstance(step, str):
            if union is None:
                union = tuple(path)
            if union == tuple(path):
                member.append(step)
    return tuple(path), tuple(loc) if union is None else union, tuple(member)


def _inside(data: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(data, list | tuple) and step < len(data)
    return isinstance(data, Mapping) and step in data


def _of_union(
    union: FieldPath, members: Mapping[FieldPath, list[tuple[FieldPath, str]]]
) -> Iterator[tuple[FieldPath, str]]:
    """The errors of one union: those of the member whose form the value has, or one error that names all forms."""
    begun = [found for found in members.values() if any(path != union for path, _ in found)]
    if begun or len(members) == 1:
        yield from (begun or list(members.values()))[0]
        return
    problems = list(dict.fromkeys(problem for found in members.values() for _, problem in found))
    forms = [problem.removeprefix("must be ").partition(", not ")[0] for problem in problems]
    seen = problems[0].partition(", not ")
    yield union, f"must be {one_of(forms)}{seen[1]}{seen[2]}"


def _problem(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind, value, context = str(detail["type"]), detail["input"], detail.get("ctx", {})
    message = str(detail["msg"])
    if kind not in _PROBLEMS and kind != FORM:
        # A validator of ours raises ValueError with the sentence itself; pydantic's own begin with "Input should".
        return message.removeprefix("Value error, ").replace("Input should", "must", 1)
    words = _PROBLEMS.get(kind, message)
    problem = words.format_map({name: _figure(limit) for name, limit in context.items()})
    if kind == "extra_forbidden":
        return problem + suggestion(str(detail["loc"][-1]), _known_keys(model, detail["loc"][:-1]))
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        return f"is too large a number: {shown(value)}"
    if kind in _SHOW_NO_VALUE:
        return problem
    if kind in _QUOTED and isinstance(value, str) and (value.strip().lower() in _QUOTED[kind] or _is_number(value)):
        problem += " without quotes"
    if kind == "string_type" and isinstance(value, bool | int | float):
        problem += " in quotes"
    return f"{problem}, not {shown(value)}"


def _figure(limit: Any) -> Any:
    if isinstance(limit, str):
        return limit.replace("'", "")
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that are allowed at a path."""
    models = [model]
    for step in loc:
        inner = [
            found
            for outer in models
            for name, field in outer.model_fields.items()
            if step in (field.alias, name)
            for found in _models_in(field.annotation)
        ]
        models = inner or models
    return [field.alias or name for found in models for name, field in found.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
