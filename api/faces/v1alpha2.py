"""API v1alpha2: ``{"task": {"metadata": …, "content": …}}``."""

from collections.abc import Iterator
from typing import Any

from api.content import ignored_content, ignored_keys
from api.errors import InvalidRequestError
from api.reading import CALLERS_KEYS, TaskFields, read_task
from contract.deadlines import AskedDeadlines
from contract.field_errors import FieldError
from contract.task import Task
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

_METADATA, _CONTENT = ("task", "metadata"), ("task", "content")


def read(body: Any, catalog: RuntimeCatalog) -> Task:
    """Read a request.

    Raises:
        InvalidRequestError: It has errors; all of them are named.
    """
    task = body.get("task") if isinstance(body, dict) else None
    if not isinstance(task, dict):
        raise InvalidRequestError([FieldError("task", 'is required: an object like {"metadata": …, "content": …}')])
    given = task.get("metadata")
    if not isinstance(given, dict):
        missing = [FieldError("task.metadata", "is required: an object")]
        if task.get("content") is None:
            missing.append(FieldError("task.content", "is required: the model server's own request"))
        raise InvalidRequestError(missing)
    given = {key: given[key] for key in CALLERS_KEYS if given.get(key) is not None}
    return read_task(given, task.get("content"), catalog, TaskFields(_METADATA, _CONTENT))


def ignored(body: Any, task: Task, runtime: DeployedRuntime) -> Iterator[FieldError]:
    """List the keys of a valid request that nothing reads."""
    sent = body["task"]
    yield from ignored_keys(body, ("task",), ())
    yield from ignored_keys(sent, ("metadata", "content"), ("task",))
    yield from ignored_keys(sent["metadata"], CALLERS_KEYS, _METADATA)
    yield from ignored_keys(sent["metadata"].get("deadlines"), AskedDeadlines.model_fields, (*_METADATA, "deadlines"))
    yield from ignored_content(task.content or {}, task.metadata.tasktype, runtime, _CONTENT)


def answer(task: Task, output_location: str) -> dict[str, Any]:
    """The answer to an accepted task."""
    return {
        "id_task": task.metadata.id,
        "runtime": task.metadata.runtime,
        "output_location": output_location,
        "job": task.metadata.job,
    }
