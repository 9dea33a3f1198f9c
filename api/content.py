"""Checks of a task's content, by runtime type. A type without checks leaves all to its model server."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from api import comfyui_content, flux_content, sdwebui_content
from contract.catalog import DeployedRuntime
from contract.faults import MOST_FAULTS, Fault, field_path

Path = tuple[str | int, ...]

_CHECKS: Mapping[str, Callable[[Mapping[str, Any], str, DeployedRuntime, Path], Iterator[Fault]]] = {
    "comfyui": comfyui_content.check,
    "flux": flux_content.check,
    "sdwebui": sdwebui_content.check,
}


def content_faults(content: Any, tasktype: str, runtime: DeployedRuntime, at: Path) -> Iterator[Fault]:
    """Name the faults of a content, or the first of very many.

    Args:
        content: What the request holds as content.
        tasktype: One that the runtime takes.
        runtime: Where it will run.
        at: Where the content stands in the request.
    """
    if not isinstance(content, dict):
        yield Fault(field_path(at), "must be an object")
    elif check := _CHECKS.get(runtime.type):
        yield from islice(check(content, tasktype, runtime, at), MOST_FAULTS + 1)
