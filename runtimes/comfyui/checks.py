"""What the API can see of a ComfyUI workflow: whether it is one, in the format that ComfyUI's own API takes."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, cut, field_path, suggestion
from runtimes.catalog import DeployedRuntime
from runtimes.comfyui.graph import TARGETS, is_node, is_ui_format, split
from runtimes.comfyui.server_checks import server_doubts, server_errors

_WRAPPED = (
    'is a workflow where a node belongs; send the workflow itself as content, or as {"prompt": WORKFLOW}, exported by '
    "ComfyUI's menu for the API"
)
_OF_THE_EDITOR = (
    "is a workflow in the format of ComfyUI's editor; export it for the API, by the editor's menu: "
    "Workflow → Export (API), in newer versions File → Export Workflow (API)"
)
EXTRA_DATA = "extra_data"
_READ = (EXTRA_DATA, TARGETS, "client_id", "prompt_id", "number", "front")
"""The last four are the platform's to set."""
_MAX_ID_CHARACTERS = 200


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:  # noqa: ARG001 (the same for all)
    """Name the errors of a request's content; see ``api.content``."""
    is_workflow = True
    for error in workflow_errors(content, at):
        is_workflow = False
        yield error
    if is_workflow and (live := runtime.live()) is not None:
        yield from server_errors(content, live, at)


def warn(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:  # noqa: ARG001 (the same for all)
    """Name what the servers may reject of a content without errors; see ``api.content``."""
    if (live := runtime.live()) is not None:
        yield from server_doubts(content, live, at)


def workflow_errors(content: Mapping[str, Any], at: FieldPath = ()) -> Iterator[FieldError]:
    """Name the errors of a workflow, and what cannot be honoured beside one."""
    graph, beside = split(content)
    whole, at = at, at if graph is content else (*at, "prompt")
    if not isinstance(graph, dict) or not graph:
        yield FieldError(field_path(at), "must be a workflow: an object of nodes by their id")
    elif is_ui_format(graph):
        yield FieldError(field_path(at), _OF_THE_EDITOR)
    else:
        for error in _errors_beside(beside, graph):
            yield FieldError(field_path((*whole, error.pointer)), error.detail)
        for node_id, node in graph.items():
            for path, problem in _node_problems(node):
                yield FieldError(field_path((*at, node_id, *path)), problem)


def _node_problems(node: Any) -> Iterator[tuple[FieldPath, str]]:
    if (inside := _workflow_inside(node)) is not None:
        yield inside, _WRAPPED
    elif not isinstance(node, dict):
        yield (), "must be a node: an object with class_type and inputs"
    else:
        if not isinstance(node.get("class_type"), str) or not node["class_type"]:
            yield ("class_type",), "is required: the name of a node class"
        if not isinstance(node.get("inputs"), dict):
            yield ("inputs",), "is required: an object"


def _workflow_inside(value: Any) -> FieldPath | None:
    """Where a workflow stands in what should be a node: there itself, or one level below, as some services have it."""
    if _is_workflow(value) or (isinstance(value, str) and value.lstrip().startswith("{")):
        return ()
    if not isinstance(value, dict) or is_node(value):
        return None
    return next(((key,) for key, inner in value.items() if _is_workflow(inner)), None)


def _is_workflow(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and (is_ui_format(value) or all(map(is_node, value.values())))


def _errors_beside(beside: Mapping[str, Any], graph: Mapping[str, Any]) -> Iterator[FieldError]:
    """Name what cannot be honoured of what stands beside a graph; null counts as left out."""
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
