"""Checks of a task's content, by runtime type. A type without checks leaves them to its model server."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from contract.field_errors import MAX_FIELD_ERRORS, FieldError, FieldPath, field_path, suggestion
from runtimes.catalog import DeployedRuntime
from runtimes.spec import load


def content_errors(content: Any, tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """Yield the errors of the content at a path of a request, or the first of very many.

    Its task type is one that the runtime takes.
    """
    if not isinstance(content, dict):
        yield FieldError(field_path(at), "must be an object")
    elif checks := runtime.runtime_type.checks:
        yield from islice(load(checks)(content, tasktype, runtime, at), MAX_FIELD_ERRORS + 1)


def ignored_content(
    content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath
) -> Iterator[FieldError]:
    """Yield what a model server would silently ignore of a valid content; parameters as above."""
    if warnings := runtime.runtime_type.warnings:
        yield from load(warnings)(content, tasktype, runtime, at)


def content_schema(tasktype: str, runtime: DeployedRuntime) -> dict[str, Any]:
    """The JSON schema (2020-12) of the content of a task type that a runtime takes, with an example.

    It includes what the runtime's servers have, if that is known. It says more than the checks enforce, such as
    which fields make sense.
    """
    runtime_type = runtime.runtime_type
    schema = load(runtime_type.schema)(tasktype, runtime) if runtime_type.schema else {"type": "object"}
    sample_type, sample = runtime_type.first_sample()
    if sample_type == tasktype:
        schema["examples"] = [sample]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def ignored_keys(given: Any, known: Iterable[str], at: FieldPath) -> Iterator[FieldError]:
    """List the unknown keys of an object."""
    known = tuple(known)
    for key in given if isinstance(given, Mapping) else ():
        if key not in known:
            yield FieldError(field_path((*at, key)), f"is ignored{suggestion(key, known)}")
