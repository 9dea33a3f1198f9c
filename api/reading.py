"""Reads a task that names its runtime, wherever in its request the metadata and the content are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from api.content import content_errors
from api.errors import InvalidRequestError
from contract.deadlines import MIN_STALL_S, AskedDeadlines
from contract.field_errors import FieldError, FieldPath, field_errors_of, field_path, one_of, shown, suggestion
from contract.task import Metadata, Task
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

CALLERS_KEYS = ("id", "runtime", "tasktype", "prefix", "context", "deadlines")
"""The task metadata that a caller may set; the platform sets the rest."""


@dataclass(frozen=True, slots=True)
class TaskFields:
    """Where a request has the parts of its task.

    ``names`` are the request's own names of the metadata's keys, where they differ.
    """

    metadata: FieldPath
    content: FieldPath
    names: Mapping[str, str] = field(default_factory=dict)

    def path(self, key: str) -> str:
        """The path of one of the metadata's keys."""
        first, dot, rest = key.partition(".")
        return field_path((*self.metadata, self.names.get(first, first) + dot + rest))


def read_task(given: Mapping[str, Any], content: Any, catalog: RuntimeCatalog, at: TaskFields) -> Task:
    """Read a task; ``given`` has the keys of its metadata.

    Raises:
        InvalidRequestError: It has errors; all of them are named.
    """
    errors: list[FieldError] = []
    metadata = None
    try:
        metadata = Metadata.model_validate(given)
    except ValidationError as exc:
        found = field_errors_of(exc, Metadata, given)
        errors = [FieldError(at.path(error.pointer), error.detail) for error in found]
    runtime = _find_runtime(given.get("runtime"), catalog, at, errors)
    if content is None:
        errors.append(FieldError(field_path(at.content), "is required: the model server's own request"))
    if runtime is not None:
        errors += _deadline_errors(given.get("deadlines"), runtime, at)
    if runtime is not None and _takes(runtime, given.get("tasktype"), at, errors) and content is not None:
        errors += content_errors(content, given["tasktype"], runtime, at.content)
    if errors or metadata is None:
        raise InvalidRequestError(errors)
    return Task(metadata=metadata, content=content)


def _find_runtime(
    name: Any, catalog: RuntimeCatalog, at: TaskFields, errors: list[FieldError]
) -> DeployedRuntime | None:
    if not isinstance(name, str) or _is_named("runtime", at, errors):
        return None  # the metadata's own errors say so
    runtime = catalog.find(name)
    if runtime is None:
        problem = f"{shown(name)} is no runtime here; use {one_of(catalog.names)}{suggestion(name, catalog.names)}"
        errors.append(FieldError(at.path("runtime"), problem))
    return runtime


def _takes(runtime: DeployedRuntime, tasktype: Any, at: TaskFields, errors: list[FieldError]) -> bool:
    accepted = runtime.task_types
    if tasktype in accepted:
        return True
    if isinstance(tasktype, str) and not _is_named("tasktype", at, errors):
        problem = f"must be {one_of(accepted)} for runtime {runtime.name} ({runtime.type}), not {shown(tasktype)}"
        problem += suggestion(tasktype, accepted)
        errors.append(FieldError(at.path("tasktype"), problem))
    return False


def _is_named(key: str, at: TaskFields, errors: list[FieldError]) -> bool:
    return any(error.pointer == at.path(key) for error in errors)


def _deadline_errors(given: Any, runtime: DeployedRuntime, at: TaskFields) -> Iterator[FieldError]:
    try:
        asked = AskedDeadlines.model_validate({} if given is None else given)
    except ValidationError:
        return  # the metadata's own errors say so
    limits = runtime.deadlines
    stall_s = asked.stall_seconds
    if stall_s is not None and stall_s < MIN_STALL_S:
        detail = f"must be at least {MIN_STALL_S:g}, not {stall_s:g}"
        yield FieldError(at.path("deadlines.stall_seconds"), detail)
    for name, seconds, max_s in (
        ("start_seconds", asked.start_seconds, limits.max_start_s),
        ("execution_seconds", asked.execution_seconds, limits.max_execution_s),
        ("stall_seconds", asked.stall_seconds, limits.max_execution_s),
    ):
        if seconds is not None and seconds > max_s:
            yield FieldError(at.path(f"deadlines.{name}"), f"may be at most {max_s:g} for runtime {runtime.name}")
