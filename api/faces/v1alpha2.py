"""API v1alpha2: ``{"task": {"metadata": …, "content": …}}``."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from api.content import content_errors, ignored_content, ignored_keys
from api.errors import InvalidRequestError
from contract.deadlines import MIN_STALL_S, AskedDeadlines
from contract.field_errors import FieldError, field_errors_of, one_of, shown
from contract.task import Metadata, Task
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

_AT = ("task", "metadata")
_CALLERS_KEYS = ("id", "runtime", "tasktype", "prefix", "context", "deadlines")
"""What a caller may set; the platform sets the rest of Metadata."""


def read(body: Any, catalog: RuntimeCatalog) -> Task:
    """Read a request.

    Raises:
        InvalidRequestError: It has errors; all of them are named.
    """
    task = body.get("task") if isinstance(body, dict) else None
    if not isinstance(task, dict):
        raise InvalidRequestError([FieldError("task", 'is required: an object like {"metadata": …, "content": …}')])
    given = task.get("metadata")
    errors: list[FieldError] = []
    metadata = None
    if isinstance(given, dict):
        given = {key: given[key] for key in _CALLERS_KEYS if given.get(key) is not None}
        try:
            metadata = Metadata.model_validate(given)
        except ValidationError as exc:
            errors = field_errors_of(exc, Metadata, given, _AT)
    else:
        errors.append(FieldError("task.metadata", "is required: an object"))
        given = {}
    runtime = _find_runtime(given.get("runtime"), catalog, errors)
    content = task.get("content")
    if content is None:
        errors.append(FieldError("task.content", "is required: the model server's own request"))
    if runtime is not None:
        errors += _deadline_errors(given.get("deadlines"), runtime)
    if runtime is not None and _takes(runtime, given.get("tasktype"), errors) and content is not None:
        errors += content_errors(content, given["tasktype"], runtime, ("task", "content"))
    if errors or metadata is None:
        raise InvalidRequestError(errors)
    return Task(metadata=metadata, content=content)


def ignored(body: Any, task: Task, runtime: DeployedRuntime) -> Iterator[FieldError]:
    """List the keys of a valid request that nothing reads."""
    sent = body["task"]
    yield from ignored_keys(body, ("task",), ())
    yield from ignored_keys(sent, ("metadata", "content"), ("task",))
    yield from ignored_keys(sent["metadata"], _CALLERS_KEYS, _AT)
    yield from ignored_keys(sent["metadata"].get("deadlines"), AskedDeadlines.model_fields, (*_AT, "deadlines"))
    yield from ignored_content(task.content or {}, task.metadata.tasktype, runtime, ("task", "content"))


def answer(task: Task, output_location: str) -> dict[str, Any]:
    """The answer to an accepted task."""
    return {
        "id_task": task.metadata.id,
        "runtime": task.metadata.runtime,
        "output_location": output_location,
        "job": task.metadata.job,
    }


def _find_runtime(name: Any, catalog: RuntimeCatalog, errors: list[FieldError]) -> DeployedRuntime | None:
    if not isinstance(name, str) or _is_told("runtime", errors):
        return None  # the metadata's own errors say so
    runtime = catalog.find(name)
    if runtime is None:
        problem = f"{shown(name)} is no runtime here; use {one_of(catalog.names)}"
        errors.append(FieldError("task.metadata.runtime", problem))
    return runtime


def _takes(runtime: DeployedRuntime, tasktype: Any, errors: list[FieldError]) -> bool:
    accepted = runtime.task_types
    if tasktype in accepted:
        return True
    if isinstance(tasktype, str) and not _is_told("tasktype", errors):
        problem = f"must be {one_of(accepted)} for runtime {runtime.name} ({runtime.type}), not {shown(tasktype)}"
        errors.append(FieldError("task.metadata.tasktype", problem))
    return False


def _is_told(key: str, errors: list[FieldError]) -> bool:
    return any(error.pointer == f"task.metadata.{key}" for error in errors)


def _deadline_errors(given: Any, runtime: DeployedRuntime) -> Iterator[FieldError]:
    try:
        asked = AskedDeadlines.model_validate({} if given is None else given)
    except ValidationError:
        return  # the metadata's own errors say so
    limits = runtime.deadlines
    stall_s = asked.stall_seconds
    if stall_s is not None and stall_s < MIN_STALL_S:
        yield FieldError("task.metadata.deadlines.stall_seconds", f"must be at least {MIN_STALL_S:g}, not {stall_s:g}")
    for name, seconds, most in (
        ("start_seconds", asked.start_seconds, limits.max_start_s),
        ("execution_seconds", asked.execution_seconds, limits.max_execution_s),
        ("stall_seconds", asked.stall_seconds, limits.max_execution_s),
    ):
        if seconds is not None and seconds > most:
            yield FieldError(f"task.metadata.deadlines.{name}", f"may be at most {most:g} for runtime {runtime.name}")
