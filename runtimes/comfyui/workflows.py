"""What may stand beside a workflow's graph in a request to ComfyUI."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, cut, suggestion

TARGETS = "partial_execution_targets"
"""The output nodes that are to run."""
EXTRA_DATA = "extra_data"
_READ = (EXTRA_DATA, TARGETS, "client_id", "prompt_id", "number", "front")
"""The last four are the platform's to set."""
_MAX_ID_CHARACTERS = 200


def faults_beside(beside: Mapping[str, Any], graph: Mapping[str, Any]) -> Iterator[FieldError]:
    """Name what cannot be honoured of what stands beside a graph; null counts as left out.

    Args:
        beside: The request without its graph.
        graph: Nodes by id.
    """
    for key in beside:
        if key not in _READ:
            yield FieldError(key, f"is not read beside prompt{suggestion(key, _READ)}")
    extra_data, targets = beside.get(EXTRA_DATA), beside.get(TARGETS)
    if extra_data is not None and not isinstance(extra_data, dict):
        yield FieldError(EXTRA_DATA, "must be an object")
    if targets is None:
        return
    if not isinstance(targets, list) or not targets or not all(isinstance(one, str) for one in targets):
        yield FieldError(TARGETS, "must be a list of node ids, which are strings")
    elif unknown := [cut(one, _MAX_ID_CHARACTERS) for one in targets if one not in graph]:
        yield FieldError(TARGETS, f"names nodes that the workflow does not have: {', '.join(unknown)}")
