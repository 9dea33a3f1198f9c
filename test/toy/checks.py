"""Checks that the API makes on the toy's tasks."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path, shown
from runtimes.catalog import DeployedRuntime


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """Yield the errors in a task's content."""
    if not isinstance(content.get("word"), str):
        yield FieldError(field_path((*at, "word")), f"must be a string, not {shown(content.get('word'))}")
