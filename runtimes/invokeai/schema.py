"""The JSON schema of a task for InvokeAI, with the servers' node types if they are known."""

from typing import Any

from runtimes.catalog import DeployedRuntime

_POINT = {
    "type": "object",
    "required": ["node_id", "field"],
    "properties": {"node_id": {"type": "string"}, "field": {"type": "string"}},
}
_GRAPH = {
    "description": "A graph as InvokeAI's API takes it.",
    "type": "object",
    "required": ["nodes"],
    "properties": {
        "id": {"type": "string"},
        "nodes": {
            "description": "Nodes by their id.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"$ref": "#/$defs/node"},
        },
        "edges": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["source", "destination"],
                "properties": {"source": _POINT, "destination": _POINT},
            },
        },
    },
}
_WORKFLOW = {
    "description": "A workflow as InvokeAI's editor exports it; it is converted as the editor does.",
    "type": "object",
    "required": ["nodes", "edges"],
    "properties": {
        "nodes": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "edges": {"type": "array", "items": {"type": "object"}},
    },
}
_BESIDE = {
    "batch": {
        "description": "Runs of the graph: lists of data that go together, each combined with every other list.",
        "type": "array",
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["node_path", "field_name", "items"],
                "properties": {
                    "node_path": {"description": "A node's id.", "type": "string"},
                    "field_name": {"type": "string"},
                    "items": {"description": "A value for each run.", "type": "array", "minItems": 1},
                },
            },
        },
    },
    "inputs": {
        "description": "Values to set before the graph runs: by field, by the id of a node.",
        "type": "object",
        "additionalProperties": {"type": "object"},
    },
}


def content_schema(tasktype: str, runtime: DeployedRuntime) -> dict[str, Any]:  # noqa: ARG001 (the same for all)
    """The schema of a graph or workflow; see ``api.content``."""
    live = runtime.live()
    node: dict[str, Any] = {
        "description": "A node: its type, and its fields. A model is {name, base, type}; a file {image_name: LINK}.",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "minLength": 1}},
    }
    if live is not None and live.nodes is not None:
        node["properties"]["type"]["enum"] = sorted(live.nodes)
    beside = [
        {
            "type": "object",
            "required": [name],
            "additionalProperties": False,
            "properties": {name: {"$ref": f"#/$defs/{name}"}, **_BESIDE},
        }
        for name in ("graph", "workflow")
    ]
    return {
        "anyOf": [{"$ref": "#/$defs/graph"}, {"$ref": "#/$defs/workflow"}, *beside],
        "$defs": {"graph": _GRAPH, "workflow": _WORKFLOW, "node": node},
    }
