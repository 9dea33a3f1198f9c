"""Checks of a task's content against its model; the API and the driver find the same errors."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path, one_of, shown, suggestion
from runtimes.bedrock import sdxl
from runtimes.bedrock.families import FAMILIES, OUTPAINTING, SIDES, BedrockFamily, Body, BodyField
from runtimes.bedrock.options import BedrockModel
from runtimes.catalog import DeployedRuntime

_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "must be a string"),
    "integer": ((int,), "must be a whole number"),
    "number": ((int, float), "must be a number"),
    "picture": ((str,), "must be a string: a link (http, https or s3) or base64"),
}


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """The API's check of a task's content; see ``api.content``."""
    for error in content_errors(content, tasktype, family_of(runtime, tasktype)):
        yield _below(at, error)


def warn(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """What becomes of a body of SDXL; see ``api.content``."""
    if sdxl.is_sdxl(content, tasktype):
        body = family_of(runtime, tasktype).bodies[tasktype]
        for change in sdxl.translate(content, tasktype, body).changes:
            yield _below(at, change)


def _below(at: FieldPath, error: FieldError) -> FieldError:
    """An error of the content as one of what the content is a part of."""
    return FieldError(".".join(filter(None, (field_path(at), error.pointer))), error.detail)


def family_of(runtime: DeployedRuntime, task_type: str) -> BedrockFamily:
    """The family of a runtime's model; for a runtime without one, the first that does the task type."""
    if isinstance(runtime.options, BedrockModel):
        return runtime.options.family
    return next(family for family in FAMILIES.values() if task_type in family.bodies)


def content_errors(content: Mapping[str, Any], task_type: str, family: BedrockFamily) -> Iterator[FieldError]:
    """Find all errors of a content, a body of the model or of SDXL."""
    if (fields := family.bodies.get(task_type)) is None:
        does = one_of(tuple(family.bodies))
        yield FieldError("", f"is {task_type}, which {family.title} does not do; it does {does}")
        return
    if not sdxl.is_sdxl(content, task_type):
        yield from _body_errors(content, task_type, fields)
        return
    translation = sdxl.translate(content, task_type, fields)
    yield from translation.errors
    reported = {error.pointer.partition("[")[0] for error in translation.errors}
    for error in _body_errors(translation.body, task_type, fields):
        origin = translation.origins.get(error.pointer, error.pointer)
        if origin not in reported:
            yield FieldError(origin, error.detail)


def _body_errors(content: Mapping[str, Any], task_type: str, fields: Body) -> Iterator[FieldError]:
    """The errors of a body of the model's own. What is null is left out."""
    given = {name: value for name, value in content.items() if value is not None}
    for name, field in fields.items():
        if name not in given:
            if field.required:
                yield FieldError(name, "is required")
        elif problem := _problem(given[name], field):
            yield FieldError(name, problem)
    for name in given:
        if name not in fields:
            yield FieldError(name, f"is not a known key{suggestion(name, fields)}")
    if task_type == OUTPAINTING and not any(given.get(side) for side in SIDES):
        yield FieldError(SIDES[0], f"or another side ({', '.join(SIDES[1:])}) must be above 0")


def _problem(value: Any, field: BodyField) -> str | None:
    expected, words = _TYPES[field.type]
    if isinstance(value, bool) or not isinstance(value, expected):
        return f"{words}, not {shown(value)}"
    if field.choices and value not in field.choices:
        return f"must be {one_of(field.choices)}, not {shown(value)}{suggestion(str(value), field.choices)}"
    return _text_problem(value, field) if isinstance(value, str) else _number_problem(value, field)


def _text_problem(value: str, field: BodyField) -> str | None:
    if (field.min or field.type == "picture") and not value.strip():
        return "must not be empty"
    return f"may have at most {field.max:g} characters" if field.max and len(value) > field.max else None


def _number_problem(value: Any, field: BodyField) -> str | None:
    if field.min is not None and not value >= field.min:
        return f"must be at least {_figure(field.min)}, not {shown(value)}"
    if field.max is not None and not value <= field.max:
        return f"must be at most {_figure(field.max)}, not {shown(value)}"
    return None


def _figure(limit: float) -> str:
    return str(int(limit)) if float(limit).is_integer() else f"{limit:g}"
