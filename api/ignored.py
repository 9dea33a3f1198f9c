"""Keys of a request that nothing reads: told as warnings, since a misspelt one changes the picture in silence."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path, suggestion
from contract.task import CHECKPOINT_ATTRIBUTE
from runtimes.catalog import DeployedRuntime
from runtimes.sdwebui.fields import FIELDS

MAX_WARNINGS = 20
"""Told in one answer."""


def ignored_keys(given: Any, known: Iterable[str], at: FieldPath, problem: str = "is ignored") -> Iterator[FieldError]:
    """Name the keys of an object that are not among those known."""
    known = tuple(known)
    for key in given if isinstance(given, Mapping) else ():
        if key not in known:
            yield FieldError(field_path((*at, key)), problem + suggestion(key, known))


def ignored_content(
    content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath
) -> Iterator[FieldError]:
    """Name what a model server would pass over in silence.

    Args:
        content: A content without errors.
        tasktype: Its task type.
        runtime: Where it will run.
        at: Where the content stands in the request.
    """
    if runtime.type == "sdwebui":
        fields = (*sorted(FIELDS[tasktype]), CHECKPOINT_ATTRIBUTE)
        yield from ignored_keys(content, fields, at, "is no field of SD WebUI 1.10.1, which ignores it")
