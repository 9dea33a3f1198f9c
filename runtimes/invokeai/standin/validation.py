"""What the real server rejects of a batch before it queues it, in its words."""

from graphlib import CycleError, TopologicalSorter
from typing import Any

from runtimes.invokeai.standin.declared import DECLARED, output_of, takes_null, types_of

_PLAIN: dict[str, Any] = {"integer": int, "number": int | float, "string": str, "boolean": bool}
_KINDS = {"integer": "int", "number": "float", "string": "string", "boolean": "bool"}
_SHOULD = "Input should be a valid"


def errors_of(batch: Any) -> list[dict[str, Any]]:
    """All errors, as ``detail`` of a 422."""
    graph = batch.get("graph") if isinstance(batch, dict) else None
    if not isinstance(graph, dict):
        return [_error("missing", ["body", "batch", "graph"], "Field required", batch)]
    nodes, edges = graph.get("nodes", {}), graph.get("edges", [])
    found = [error for node_id, node in nodes.items() for error in _node_errors(node_id, node)]
    if found:
        return found
    if words := _graph_problem(nodes, edges):
        return [_error("value_error", ["body", "batch", "graph"], f"Value error, {words}", graph)]
    return _data_errors(batch, nodes)


def _error(kind: str, loc: list[Any], words: str, given: Any) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": words, "input": given}


def _node_errors(node_id: str, node: dict[str, Any]) -> list[dict[str, Any]]:
    loc = ["body", "batch", "graph", "nodes", node_id]
    node_type = node.get("type")
    if node_type is None:
        return [_error("union_tag_not_found", loc, "Unable to extract tag using discriminator 'type'", node)]
    if node_type not in DECLARED:
        tags = ", ".join(f"'{tag}'" for tag in DECLARED)
        words = f"Input tag '{node_type}' found using 'type' does not match any of the expected tags: {tags}"
        return [_error("union_tag_invalid", loc, words, node)]
    found = []
    for name, declared in DECLARED[node_type]["properties"].items():
        if name in node and (problem := _value_problem(node[name], declared)):
            found.append(_error(problem[0], [*loc, node_type, name], problem[1], node[name]))
    return found


def _value_problem(value: Any, declared: dict[str, Any]) -> tuple[str, str] | None:
    types = types_of(declared)
    if "enum" in declared:
        if value in declared["enum"]:
            return None
        *choices, last = [f"'{choice}'" for choice in declared["enum"]]
        return "literal_error", f"Input should be {' or '.join(filter(None, (', '.join(choices), last)))}"
    if (value is None and takes_null(declared)) or len(types) != 1 or "array" in str(declared):
        return None
    (wanted,) = types
    if wanted in _PLAIN:
        return _plain_problem(value, wanted, declared.get("multipleOf"))
    return None if isinstance(value, dict) else ("model_type", f"{_SHOULD} dictionary or instance of {wanted}")


def _plain_problem(value: Any, wanted: str, multiple: int | None) -> tuple[str, str] | None:
    is_number = wanted in {"integer", "number"}
    if wanted == "integer" and isinstance(value, float) and not value.is_integer():
        return "int_from_float", f"{_SHOULD} integer, got a number with a fractional part"
    if is_number and isinstance(value, str) and not value.lstrip("-").replace(".", "", 1).isdigit():
        return "int_parsing", f"{_SHOULD} integer, unable to parse string as an integer"
    if not isinstance(value, _PLAIN[wanted]) and not (is_number and isinstance(value, str)):
        return f"{_KINDS[wanted]}_type", f"{_SHOULD} {wanted}"
    if multiple and int(value) % multiple:
        return "multiple_of", f"Input should be a multiple of {multiple}"
    return None


def _graph_problem(nodes: dict[str, Any], edges: list[Any]) -> str | None:
    for node_id, node in nodes.items():
        if node.get("id", node_id) != node_id:
            return f"Node ids must match, got {node_id} and {node['id']}"
    for edge in edges:
        source, destination = edge["source"], edge["destination"]
        for end, noun in ((source, "source"), (destination, "destination")):
            if end["node_id"] not in nodes:
                return f"Edge {noun} node {end['node_id']} does not exist in the graph"
        outputs = output_of(nodes[source["node_id"]]["type"])
        inputs = DECLARED[nodes[destination["node_id"]]["type"]]["properties"]
        for end, noun, fields in ((source, "source", outputs), (destination, "destination", inputs)):
            if end["field"] not in fields:
                return f"Edge {noun} field {end['field']} does not exist in node {end['node_id']}"
        if not types_of(outputs[source["field"]]) & types_of(inputs[destination["field"]]):
            ends = (f"{end['node_id']}.{end['field']}" for end in (source, destination))
            return f"Edge source and target types do not match ({' -> '.join(ends)})"
    try:
        TopologicalSorter(feeders(nodes, edges)).prepare()
    except CycleError:
        return "Graph contains cycles"
    return None


def feeders(nodes: dict[str, Any], edges: list[Any]) -> dict[str, list[str]]:
    """The nodes that feed each node."""
    return {
        node_id: [edge["source"]["node_id"] for edge in edges if edge["destination"]["node_id"] == node_id]
        for node_id in nodes
    }


def _data_errors(batch: dict[str, Any], nodes: dict[str, Any]) -> list[dict[str, Any]]:
    for group in batch.get("data") or ():
        if len({len(datum["items"]) for datum in group}) > 1:
            words = "Value error, Zipped batch items must all have the same length"
            return [_error("value_error", ["body", "batch", "data"], words, batch["data"])]
        for datum in group:
            if datum["node_path"] not in nodes:
                words = f"Value error, Node {datum['node_path']} not found in graph"
            elif datum["field_name"] not in DECLARED[nodes[datum["node_path"]]["type"]]["properties"]:
                words = f"Value error, Field {datum['field_name']} not found in node {datum['node_path']}"
            else:
                continue
            return [_error("value_error", ["body", "batch"], words, batch)]
    return []
