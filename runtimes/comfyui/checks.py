"""What the door can see of a ComfyUI workflow: whether it is one, in the format that the API takes."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path
from runtimes.catalog import DeployedRuntime
from runtimes.comfyui.workflows import faults_beside

_WRAPPED = (
    'is a workflow where a node belongs; send the workflow itself as content, or as {"prompt": WORKFLOW}, exported by '
    "ComfyUI's menu for the API"
)


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """Name the faults of a request's content; see ``api.content``."""
    if _is_ui_format(content):
        yield FieldError(
            field_path(at),
            "is a workflow in the format of ComfyUI's editor; export it for the API, by the editor's menu: "
            "Workflow → Export (API), in newer versions File → Export Workflow (API)",
        )
        return
    graph: Any = content
    frame: Mapping[str, Any] = {}
    whole = at
    if "prompt" in content and not _is_node(content["prompt"]):
        graph, at = content["prompt"], (*at, "prompt")
        frame = {key: content[key] for key in content if key != "prompt"}
        if isinstance(graph, dict) and _is_ui_format(graph):
            yield from check(graph, tasktype, runtime, at)
            return
    if not isinstance(graph, dict) or not graph:
        yield FieldError(field_path(at), "must be a workflow: an object of nodes by their id")
        return
    for fault in faults_beside(frame, graph):
        yield FieldError(field_path((*whole, fault.pointer)), fault.detail)
    for node_id, node in graph.items():
        here = (*at, node_id)
        if (inside := _workflow_inside(node, here)) is not None:
            yield FieldError(field_path(inside), _WRAPPED)
            continue
        if not isinstance(node, dict):
            yield FieldError(field_path(here), "must be a node: an object with class_type and inputs")
            continue
        if not isinstance(node.get("class_type"), str) or not node["class_type"]:
            yield FieldError(field_path((*here, "class_type")), "is required: the name of a node class")
        if not isinstance(node.get("inputs"), dict):
            yield FieldError(field_path((*here, "inputs")), "is required: an object")


def _workflow_inside(value: Any, at: FieldPath) -> FieldPath | None:
    """Where a workflow stands in what should be a node: there itself, or one level below, as some services have it."""
    if isinstance(value, str):
        return at if value.lstrip().startswith("{") else None
    if not isinstance(value, dict) or _is_node(value):
        return None
    if _is_workflow(value):
        return at
    return next(((*at, key) for key, inner in value.items() if _is_workflow(inner)), None)


def _is_workflow(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and (_is_ui_format(value) or all(map(_is_node, value.values())))


def _is_ui_format(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("nodes"), list)


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "class_type" in value
