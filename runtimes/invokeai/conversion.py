"""Turns a workflow of InvokeAI's editor into the graph and the batch that the editor itself would queue.

The editor does this in the browser, and no endpoint of the server does it. The rules are those of release 6.14.2
(invokeai/app/services/shared/workflow_graph_builder.py, and the editor for batches).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from contract.field_errors import FieldPath

BATCH_FIELDS: Mapping[str, tuple[str, str]] = {
    "image_batch": ("images", "image"),
    "string_batch": ("strings", "value"),
    "integer_batch": ("integers", "value"),
    "float_batch": ("floats", "value"),
}
"""Nodes that never run: by type, the field with their items, and the output that stands for one of them."""
GENERATORS = frozenset({"image_generator", "string_generator", "integer_generator", "float_generator"})
"""Nodes that make such items in the browser."""
_NO_GROUP = "None"
_ENDS = ("source", "sourceHandle", "target", "targetHandle")


class Misfit(NamedTuple):
    """What has no counterpart in a graph, and where it stands in the workflow."""

    at: FieldPath
    detail: str


class Converted(NamedTuple):
    """A workflow as the server runs it.

    Attributes:
        positions: Where each node stands in the workflow's list.
        batch: Lists of data; those in one list go together, and each list is combined with every other.
    """

    graph: dict[str, Any]
    batch: list[list[dict[str, Any]]]
    positions: dict[str, int]
    problems: list[Misfit]


class _Edge(NamedTuple):
    source: str
    output: str
    target: str
    field: str


def convert(workflow: Mapping[str, Any]) -> Converted:
    """Convert a workflow whose nodes and edges are lists of objects; problems name what has no counterpart."""
    nodes: dict[str, dict[str, Any]] = {}
    positions: dict[str, int] = {}
    connectors: set[str] = set()
    problems: list[Misfit] = []
    for number, node in enumerate(workflow["nodes"]):
        node_id = node.get("id")
        if node.get("type") == "connector":
            connectors.add(str(node_id))
        elif node.get("type") == "invocation":
            data = node.get("data")
            if not isinstance(node_id, str) or not isinstance(data, dict) or not isinstance(data.get("type"), str):
                problems.append(Misfit(("nodes", number), "must have an id, and data with a type"))
                continue
            nodes[node_id], positions[node_id] = data, number
    edges = list(dict.fromkeys(_edges(workflow["edges"], nodes, connectors)))
    running = {node_id: _flat(node_id, data) for node_id, data in nodes.items() if not _is_batch(data)}
    for edge in edges:
        if edge.target in running:
            running[edge.target].pop(edge.field, None)
    graph = {
        "nodes": running,
        "edges": [
            {
                "source": {"node_id": edge.source, "field": edge.output},
                "destination": {"node_id": edge.target, "field": edge.field},
            }
            for edge in edges
            if edge.source in running and edge.target in running
        ],
    }
    batch = _batch(nodes, edges, positions, problems)
    return Converted(graph, batch, positions, problems)


def _is_batch(data: Mapping[str, Any]) -> bool:
    return data["type"] in BATCH_FIELDS or data["type"] in GENERATORS


def _flat(node_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    inputs = data.get("inputs")
    fields = {
        name: field["value"]
        for name, field in (inputs.items() if isinstance(inputs, dict) else ())
        if isinstance(field, dict) and "value" in field
    }
    is_intermediate = data.get("isIntermediate", False)
    return {**fields, "id": node_id, "type": data["type"], "is_intermediate": is_intermediate}


def _edges(edges: list[Any], nodes: Mapping[str, Any], connectors: set[str]) -> Iterator[_Edge]:
    """The edges between nodes, with what leads through connectors led to its source."""
    ends = [[edge.get(key) for key in _ENDS] for edge in edges if edge.get("type") == "default"]
    drawn = [_Edge(*four) for four in ends if all(isinstance(end, str) for end in four)]
    into = {edge.target: edge for edge in drawn if edge.target in connectors}
    led: dict[str, _Edge | None] = {}
    for edge in drawn:
        source = _source_of(edge, into, connectors, led)
        if source is not None and source.source in nodes and edge.target in nodes:
            yield _Edge(source.source, source.output, edge.target, edge.field)


def _source_of(
    edge: _Edge, into: Mapping[str, _Edge], connectors: set[str], led: dict[str, _Edge | None]
) -> _Edge | None:
    """The edge with which what an edge brings leaves its node; None where connectors lead nowhere, or in a circle.

    ``led`` keeps what is known of connectors, so that each is passed once.
    """
    passed: list[str] = []
    source: _Edge | None = edge
    while source is not None and source.source in connectors:
        if source.source in led:
            source = led[source.source]
            break
        passed.append(source.source)
        led[source.source] = None
        source = into.get(source.source)
    led.update(dict.fromkeys(passed, source))
    return source


def _batch(
    nodes: Mapping[str, Any], edges: list[_Edge], positions: Mapping[str, int], problems: list[Misfit]
) -> list[list[dict[str, Any]]]:
    """The data of batch nodes: those of a group go together."""
    groups: dict[str, list[dict[str, Any]]] = {}
    feeders: dict[tuple[str, str], str] = {}
    fed: dict[tuple[str, str], list[_Edge]] = {}
    for edge in edges:
        feeders.setdefault((edge.target, edge.field), edge.source)
        fed.setdefault((edge.source, edge.output), []).append(edge)
    for node_id, data in nodes.items():
        if (fields := BATCH_FIELDS.get(data["type"])) is None:
            continue
        field, output = fields
        at = ("nodes", positions[node_id], "data", "inputs", field)
        inputs = data.get("inputs") if isinstance(data.get("inputs"), dict) else {}
        if feeder := feeders.get((node_id, field)):
            problems.append(
                Misfit(
                    at,
                    f"is made by node {feeder} ({nodes[feeder]['type']}), which runs in the editor alone; give "
                    f"{data['type']} its items itself",
                )
            )
            continue
        items = _value(inputs, field)
        if not isinstance(items, list) or not items:
            problems.append(Misfit(at, f"must have items for {data['type']} (node {node_id})"))
            continue
        group = _value(inputs, "batch_group_id") or _NO_GROUP
        key = f"node {node_id}" if group == _NO_GROUP else str(group)
        groups.setdefault(key, []).extend(
            {"node_path": edge.target, "field_name": edge.field, "items": items}
            for edge in fed.get((node_id, output), ())
        )
    return [group for group in groups.values() if group]


def _value(inputs: Mapping[str, Any], name: str) -> Any:
    field = inputs.get(name)
    return field.get("value") if isinstance(field, dict) else None
