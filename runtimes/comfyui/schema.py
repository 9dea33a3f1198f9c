"""The JSON schema of a workflow, with the servers' node classes and models if they are known."""

from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.comfyui.graph import TARGETS
from runtimes.comfyui.server_checks import is_checked
from runtimes.live import LiveCatalog, NodeClass

_LINK = {
    "description": "Another node's output: the node's id, and the output's index, starting at 0.",
    "type": "array",
    "prefixItems": [{"type": "string"}, {"type": "integer", "minimum": 0}],
    "minItems": 2,
    "maxItems": 2,
}


def content_schema(tasktype: str, runtime: DeployedRuntime) -> dict[str, Any]:  # noqa: ARG001 (the same for all)
    """The schema of a workflow; see ``api.content``."""
    live = runtime.live()
    lists: dict[str, Any] = {}
    node: dict[str, Any] = {
        "type": "object",
        "required": ["class_type", "inputs"],
        "properties": {
            "class_type": {"description": "The name of a node class.", "type": "string", "minLength": 1},
            "inputs": {"description": "Values or links, by input name.", "type": "object"},
        },
    }
    if live is not None and live.nodes is not None:
        node["properties"]["class_type"]["enum"] = sorted(live.nodes)
        if classes := [_inputs_of(name, one, live, lists) for name, one in live.nodes.items() if is_checked(name, one)]:
            node["allOf"] = [one for one in classes if one is not None]
    graph = {
        "description": "Nodes by id: a workflow in ComfyUI's API format (menu Workflow → Export (API)).",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"$ref": "#/$defs/node"},
    }
    wrapped = {
        "description": "A workflow, with the other fields of ComfyUI's own API.",
        "type": "object",
        "required": ["prompt"],
        "properties": {
            "prompt": {"$ref": "#/$defs/workflow"},
            "extra_data": {"description": "Added to the pictures' metadata.", "type": "object"},
            TARGETS: {
                "description": "Ids of the output nodes to run. Default: all.",
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
            },
        },
    }
    return {
        "anyOf": [{"$ref": "#/$defs/workflow"}, wrapped],
        "$defs": {"workflow": graph, "node": node, "link": _LINK, **lists},
    }


def _inputs_of(name: str, node_class: NodeClass, live: LiveCatalog, lists: dict[str, Any]) -> dict[str, Any] | None:
    """The choices of a class's inputs; None if it has no such input. All inputs share the lists."""
    inputs = {}
    for input_name, declared in node_class.inputs.items():
        if (choices := live.choices_of(declared)) is None:
            continue
        key = f"choices-{declared.choices}"
        lists[key] = {"enum": list(choices)}
        inputs[input_name] = {"anyOf": [{"$ref": f"#/$defs/{key}"}, {"$ref": "#/$defs/link"}]}
    if not inputs:
        return None
    is_class = {"properties": {"class_type": {"const": name}}}
    return {"if": is_class, "then": {"properties": {"inputs": {"properties": inputs}}}}
