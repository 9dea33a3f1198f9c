"""What a workflow asks for that the servers do not have: node classes, models, samplers and other choices.

ComfyUI rejects a workflow with a node of an unknown class, wherever it stands, and one with a value that is not among
an input's choices in a node that is to run. But a class may check its inputs itself and accept any value, and
ComfyUI does not say which do. Those of CHECKED_CLASSES do not.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from contract.field_errors import FieldError, FieldPath, field_path, shown, suggestion
from contract.inputs import is_data_url, is_link
from runtimes.comfyui.graph import TARGETS, feeding, split
from runtimes.live import LiveCatalog, NodeClass, NodeInput, there_are

_CORE = """
    CheckpointLoaderSimple CheckpointLoader unCLIPCheckpointLoader ImageOnlyCheckpointLoader UNETLoader VAELoader
    CLIPLoader DualCLIPLoader TripleCLIPLoader CLIPVisionLoader StyleModelLoader GLIGENLoader LoraLoader
    LoraLoaderModelOnly HypernetworkLoader ControlNetLoader DiffControlNetLoader UpscaleModelLoader KSampler
    KSamplerAdvanced KSamplerSelect BasicScheduler EmptyLatentImage EmptyImage ImageScale ImageScaleBy LatentUpscale
    LatentUpscaleBy
"""
CHECKED_CLASSES = frozenset(_CORE.split())
"""Loaders, samplers and the like of ComfyUI itself."""
_OWN_MODULES = ("nodes", "comfy_extras.")
"""Where ComfyUI's own classes are, if no custom node has replaced them."""
_MAX_HINTS = 10
"""The most errors that suggest a name: to find the nearest one takes milliseconds."""
_FOREIGN_LINK = re.compile(r"\s*[a-z][a-z0-9+.-]+:(?://|\\\\|/)", re.IGNORECASE)
_BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")
_MAX_FILE_NAME = 254


class _NodeProblem(NamedTuple):
    """What is wrong with a node's input; ``is_certain`` says whether ComfyUI rejects it."""

    path: FieldPath
    detail: str
    is_certain: bool


def server_errors(content: Mapping[str, Any], live: LiveCatalog, at: FieldPath) -> Iterator[FieldError]:
    """Yield what the servers certainly reject of a well-formed workflow."""
    yield from (FieldError(field_path(one.path), one.detail) for one in _problems(content, live, at) if one.is_certain)


def server_doubts(content: Mapping[str, Any], live: LiveCatalog, at: FieldPath) -> Iterator[FieldError]:
    """Yield what they may reject."""
    for one in _problems(content, live, at):
        if not one.is_certain:
            yield FieldError(field_path(one.path), f"{one.detail}; the node may reject it")


def _problems(content: Mapping[str, Any], live: LiveCatalog, at: FieldPath) -> Iterator[_NodeProblem]:
    if live.nodes is None:
        return
    graph, beside = split(content)
    at = at if graph is content else (*at, "prompt")
    unknown = [node_id for node_id in graph if graph[node_id]["class_type"] not in live.nodes]
    for number, node_id in enumerate(unknown):
        class_type = graph[node_id]["class_type"]
        near = suggestion(class_type, live.nodes) if number < _MAX_HINTS else ""
        detail = f"is no node class that the servers have: {shown(class_type)} (node {node_id}){near}"
        yield _NodeProblem((*at, node_id, "class_type"), detail, is_certain=True)
    if unknown:
        return
    targets = beside.get(TARGETS)
    outputs = [
        node_id
        for node_id, node in graph.items()
        if live.nodes[node["class_type"]].is_output and (targets is None or node_id in targets)
    ]
    hints = 0
    for node_id in feeding(graph, outputs):
        node = graph[node_id]
        for name, declared in live.nodes[node["class_type"]].inputs.items():
            if (problem := _input_problem(live, declared, node["inputs"].get(name), node, node_id)) is None:
                continue
            choices = problem[1] if hints < _MAX_HINTS else None
            hints += 1
            instead = "" if choices is None else there_are(choices, str(node["inputs"][name]))
            is_certain = is_checked(node["class_type"], live.nodes[node["class_type"]])
            yield _NodeProblem((*at, node_id, "inputs", name), problem[0] + instead, is_certain)


def is_checked(name: str, node_class: NodeClass) -> bool:
    """Whether ComfyUI certainly rejects values of a class that are not among an input's choices."""
    return name in CHECKED_CLASSES and node_class.module.startswith(_OWN_MODULES)


def _input_problem(
    live: LiveCatalog, declared: NodeInput, value: Any, node: Mapping[str, Any], node_id: str
) -> tuple[str, list[str] | None] | None:
    """What is wrong with a value, and the choices there are."""
    where = f"{node['class_type']} (node {node_id})"
    if (choices := live.choices_of(declared)) is not None:
        if not isinstance(value, str | int | float) or live.can_choose(declared, value) or _may_be_file(value):
            return None
        return f"names nothing that {where} has: {shown(value)}", [str(choice) for choice in choices]
    if isinstance(value, bool) or not isinstance(value, int | float) or declared.takes_file:
        return None
    number = int(value) if declared.type == "INT" else value
    if declared.min is not None and number < declared.min:
        return f"must be at least {shown(declared.min)} for {where}, not {shown(value)}", None
    if declared.max is not None and number > declared.max:
        return f"must be at most {shown(declared.max)} for {where}, not {shown(value)}", None
    return None


def _may_be_file(value: str | float) -> bool:
    """Whether a text may be a file of the caller, which the agent uploads under a name of its own."""
    if not isinstance(value, str):
        return False
    is_reference = is_link(value) or is_data_url(value) or _FOREIGN_LINK.match(value) is not None
    return is_reference or len(value) > _MAX_FILE_NAME or value.lstrip("\"' \t\r\n").startswith(_BASE64_STARTS)
