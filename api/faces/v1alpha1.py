"""API v1alpha1: SD WebUI's own body, with the platform's fields in its alwayson_scripts."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from api.content import content_errors, ignored_content
from api.errors import InvalidRequestError
from contract.field_errors import FieldError, field_errors_of, one_of, shown
from contract.task import CHECKPOINT_ATTRIBUTE, Metadata, Task
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

_AT = "alwayson_scripts"
_METADATA_KEYS = {"id": "id_task", "tasktype": "task", "prefix": "save_dir"}
"""This version's names of the metadata's keys."""


def read(body: Any, catalog: RuntimeCatalog) -> Task:
    """Read a request and find the one runtime that serves its checkpoint.

    Raises:
        InvalidRequestError: It has errors; all of them are named.
    """
    if not isinstance(body, dict):
        raise InvalidRequestError([FieldError("", "must be an object: SD WebUI's own request")])
    scripts = body.get(_AT)
    if not isinstance(scripts, dict):
        raise InvalidRequestError(
            [FieldError(_AT, f"is required: an object with task, {CHECKPOINT_ATTRIBUTE} and id_task")]
        )
    errors: list[FieldError] = []
    runtime = _find_runtime(scripts.get(CHECKPOINT_ATTRIBUTE), catalog, errors)
    given = {key: scripts[alias] for key, alias in _METADATA_KEYS.items() if scripts.get(alias) is not None}
    metadata = None
    try:
        metadata = Metadata.model_validate({**given, "runtime": runtime.name if runtime else "unknown"})
    except ValidationError as exc:
        errors += [
            FieldError(f"{_AT}.{_METADATA_KEYS.get(error.pointer, error.pointer)}", error.detail)
            for error in field_errors_of(exc, Metadata, given)
        ]
    if runtime is not None:
        tasktype = given.get("tasktype")
        accepted = runtime.runtime_type.v1alpha1_task_types
        if tasktype in accepted:
            errors += content_errors(body, str(tasktype), runtime, ())
        elif isinstance(tasktype, str) and all(error.pointer != f"{_AT}.task" for error in errors):
            errors.append(FieldError(f"{_AT}.task", f"must be {one_of(accepted)}, not {shown(tasktype)}"))
    if errors or metadata is None:
        raise InvalidRequestError(errors)
    return Task(metadata=metadata, content=body)


def ignored(body: Any, task: Task, runtime: DeployedRuntime) -> Iterator[FieldError]:  # noqa: ARG001 (the body is the content)
    """List the keys of a valid request that nothing reads."""
    yield from ignored_content(task.content or {}, task.metadata.tasktype, runtime, ())


def answer(task: Task, output_location: str) -> dict[str, Any]:
    """The answer to an accepted task."""
    content = task.content or {}
    return {
        "id_task": task.metadata.id,
        "sd_model_checkpoint": content[_AT][CHECKPOINT_ATTRIBUTE],
        "output_location": output_location,
        "job": task.metadata.job,
    }


def _find_runtime(checkpoint: Any, catalog: RuntimeCatalog, errors: list[FieldError]) -> DeployedRuntime | None:
    field = f"{_AT}.{CHECKPOINT_ATTRIBUTE}"
    if not isinstance(checkpoint, str) or not checkpoint:
        errors.append(FieldError(field, "is required: the checkpoint's file name"))
        return None
    runtime = catalog.for_checkpoint(checkpoint)
    if runtime is None:
        dynamic = [runtime.name for runtime in catalog.dynamic]
        if dynamic:
            problem = f"could be loaded by several runtimes ({', '.join(dynamic)}); use v1alpha2 and name one"
        else:
            use = f"; use {one_of(catalog.checkpoints)}" if catalog.checkpoints else ""
            problem = f"{shown(checkpoint)} is no checkpoint here{use}"
        errors.append(FieldError(field, problem))
    return runtime
