"""Checks of a task's content, by runtime type. A type without checks leaves all to its model server."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from contract.field_errors import MAX_FIELD_ERRORS, FieldError, FieldPath, field_path
from runtimes.catalog import DeployedRuntime
from runtimes.spec import load


def content_errors(content: Any, tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """Name the errors of a content, or the first of very many.

    Args:
        content: What the request holds as content.
        tasktype: One that the runtime takes.
        runtime: Where it will run.
        at: Where the content stands in the request.
    """
    if not isinstance(content, dict):
        yield FieldError(field_path(at), "must be an object")
    elif checks := runtime.runtime_type.checks:
        yield from islice(load(checks)(content, tasktype, runtime, at), MAX_FIELD_ERRORS + 1)
