"""The content of a task for InvokeAI: a graph or an exported workflow, and what stands beside it.

``{"graph": …}`` or ``{"workflow": …}`` with ``batch`` and ``inputs`` beside it, or the graph or workflow itself.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from contract.field_errors import FieldError, FieldPath, cut, field_path, suggestion
from runtimes.invokeai.conversion import BATCH_FIELDS, GENERATORS, convert

HOSTED = frozenset(
    {"alibabacloud_image_generation", "gemini_image_generation", "openai_image_generation", "seedream_image_generation"}
)
"""Node types that send prompts and pictures to hosted services."""
FILE_KEYS: Mapping[str, str] = {"image_name": "image", "video_name": "video"}
"""The keys of a field's object that name a file of the server, and the kind of file."""
MAX_SESSIONS = 100
"""The most runs that a batch may make of a graph."""
_MAX_SHOWN = 10**12
_DOCUMENTS = ("graph", "workflow")
_BESIDE = ("batch", "inputs")
_MAX_ID_CHARACTERS = 200
_MAX_HINTS = 10
"""The most errors that suggest a name: to find the nearest one takes milliseconds."""
_FIXED = frozenset({"id", "type", "use_cache", "board"})
"""Fields of a node that only its task's graph gives, or the driver."""


@dataclass(slots=True)
class Document:
    """A task's content, as the server runs it: a copy, free to be changed.

    Attributes:
        graph: ``nodes`` by id, and ``edges``.
        batch: The server's ``batch.data``; empty for one run.
        titles: What the workflow calls its nodes, where it does.
        errors: What is wrong with the content; the rest is reliable only where this is empty.
        root: Where the graph or workflow stands in the content.
        positions: Where each node stands in a workflow's list; empty for a graph.
    """

    graph: dict[str, Any] = field(default_factory=lambda: {"nodes": {}, "edges": []})
    batch: list[list[dict[str, Any]]] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)
    root: FieldPath = ()
    positions: dict[str, int] = field(default_factory=dict)
    _hints: int = 0

    @property
    def sessions(self) -> int:
        """How many runs the batch makes of the graph."""
        return prod(len(group[0]["items"]) for group in self.batch)

    def path_of(self, node_id: str, *field_path: str | int) -> FieldPath:
        """Where a field of a node stands in the content."""
        if node_id not in self.positions:
            return (*self.root, "nodes", node_id, *field_path)
        within = ("data", "inputs", field_path[0], "value", *field_path[1:]) if field_path else ()
        return (*self.root, "nodes", self.positions[node_id], *within)

    def near(self, name: str, known: Iterable[str]) -> str:
        """The known name nearest to an unknown one, for the first errors."""
        self._hints += 1
        return suggestion(name, known) if self._hints <= _MAX_HINTS else ""

    def fields(self) -> Iterator[tuple[FieldPath, Any]]:
        """The values of all nodes' fields and of all items of the batch, with their paths."""
        for node_id, node in self.graph["nodes"].items():
            for name, value in node.items():
                if name not in {"id", "type"}:
                    yield self.path_of(node_id, name), value
        for group in self.batch:
            for datum in group:
                yield self.path_of(datum["node_path"], datum["field_name"]), datum["items"]


def read_document(content: Mapping[str, Any], at: FieldPath = ()) -> Document:
    """Read a task's content; the document's errors say what is wrong with it."""
    document = Document()
    key = next((key for key in _DOCUMENTS if key in content and "nodes" not in content), None)
    if key is not None:
        source, beside = content[key], {name: value for name, value in content.items() if name != key}
        document.root = (*at, key)
    else:
        source, beside = content, {}
        document.root = at
    for name in beside:
        if name not in _BESIDE:
            document.errors.append(_error((*at, name), f"is not read beside {key}{document.near(name, _BESIDE)}"))
    nodes = source.get("nodes") if isinstance(source, dict) else None
    if isinstance(nodes, list):
        _read_workflow(document, source, beside.get("inputs"), (*at, "inputs"))
    elif isinstance(nodes, dict):
        _read_graph(document, source, beside.get("inputs"), (*at, "inputs"))
    else:
        words = (
            "must be a graph, an object with nodes by their id and edges, or a workflow exported by InvokeAI's editor"
        )
        document.errors.append(_error(document.root, words))
    if not document.errors:
        document.errors += _node_errors(document)
        document.batch += _read_batch(document, beside.get("batch"), (*at, "batch"))
        document.errors += _batch_errors(document, (*at, "batch"))
    return document


def _read_workflow(document: Document, source: Mapping[str, Any], inputs: Any, inputs_at: FieldPath) -> None:
    for name in ("nodes", "edges"):
        parts = source.get(name)
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            document.errors.append(_error((*document.root, name), "must be a list of objects"))
    if document.errors:
        return
    workflow = {name: copy.deepcopy(source[name]) for name in ("nodes", "edges")}
    by_id: dict[str, dict[str, Any]] = {}
    for number, node in enumerate(workflow["nodes"]):
        if isinstance(node.get("id"), str) and by_id.setdefault(node["id"], node) is not node:
            document.errors.append(_error((*document.root, "nodes", number, "id"), "is the id of an earlier node"))
    if document.errors:
        return
    for node_id, name, value, at in _given(document, inputs, inputs_at, by_id):
        data = by_id[node_id].get("data")
        fields = data.get("inputs") if isinstance(data, dict) else None
        if not isinstance(fields, dict) or name not in fields:
            document.errors.append(_error(at, f"is no input of this node{document.near(name, fields or ())}"))
        else:
            fields[name] = {"value": value}
    converted = convert(workflow)
    document.graph, document.batch, document.positions = converted.graph, converted.batch, converted.positions
    document.errors += [_error((*document.root, *one.at), one.detail) for one in converted.problems]
    for node_id in document.graph["nodes"]:
        label = by_id[node_id]["data"].get("label")
        if isinstance(label, str) and label.strip():
            document.titles[node_id] = label.strip()


def _read_graph(document: Document, source: Mapping[str, Any], inputs: Any, inputs_at: FieldPath) -> None:
    edges = source.get("edges", [])
    for node_id, node in source["nodes"].items():
        at = (*document.root, "nodes", node_id)
        if not isinstance(node, dict) or not isinstance(node.get("type"), str):
            document.errors.append(_error(at, "must be a node: an object with a type"))
        elif node.get("id", node_id) != node_id:
            document.errors.append(_error((*at, "id"), "must be the node's key in nodes, or be left out"))
    if not isinstance(edges, list):
        document.errors.append(_error((*document.root, "edges"), "must be a list"))
    if document.errors:
        return
    nodes = {node_id: {**copy.deepcopy(node), "id": node_id} for node_id, node in source["nodes"].items()}
    for number, edge in enumerate(edges):
        for end, known in (("source", nodes), ("destination", nodes)):
            point = edge.get(end) if isinstance(edge, dict) else None
            at = (*document.root, "edges", number, end)
            if not isinstance(point, dict) or not all(isinstance(point.get(key), str) for key in ("node_id", "field")):
                document.errors.append(_error(at, "must have a node_id and a field"))
            elif point["node_id"] not in known:
                near = document.near(point["node_id"], known)
                document.errors.append(_error((*at, "node_id"), f"names no node of the graph{near}"))
    document.graph = {"nodes": nodes, "edges": copy.deepcopy(edges)}
    for node_id, name, value, _ in _given(document, inputs, inputs_at, nodes):
        nodes[node_id][name] = value


def _given(
    document: Document, inputs: Any, at: FieldPath, nodes: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any, FieldPath]]:
    """The fields that ``inputs`` sets, of nodes that there are."""
    if inputs is None:
        return
    if not isinstance(inputs, dict) or not all(isinstance(fields, dict) for fields in inputs.values()):
        document.errors.append(_error(at, "must be an object: values by field, by the id of a node"))
        return
    for node_id, fields in inputs.items():
        if node_id not in nodes:
            near = document.near(node_id, nodes)
            document.errors.append(_error((*at, node_id), f"names no node{near}"))
            continue
        for name, value in fields.items():
            if name in {"id", "type"}:
                document.errors.append(_error((*at, node_id, name), "cannot be set"))
            else:
                yield node_id, name, copy.deepcopy(value), (*at, node_id, name)


def _node_errors(document: Document) -> Iterator[FieldError]:
    for edge in document.graph["edges"]:
        if (name := edge["destination"]["field"]) in _FIXED:
            node_id = edge["destination"]["node_id"]
            yield _error(document.path_of(node_id, name), f"cannot be set by an edge (node {node_id})")
    if not document.graph["nodes"]:
        yield _error((*document.root, "nodes"), "must have a node that runs")
    for node_id, node in document.graph["nodes"].items():
        node.pop("board", None)  # boards are of the server that exported them
        if node["type"] in HOSTED:
            yield _error(document.path_of(node_id), f"is a node of type {node['type']}, which calls a hosted service")
        elif node["type"] in BATCH_FIELDS or node["type"] in GENERATORS:
            words = f"is a node of type {node['type']}, which runs in the editor alone; use batch beside the graph"
            yield _error(document.path_of(node_id), words)


def _read_batch(document: Document, batch: Any, at: FieldPath) -> list[list[dict[str, Any]]]:
    """The batch that stands beside a graph or workflow, in the server's own form."""
    if batch is None:
        return []
    if not isinstance(batch, list) or not all(isinstance(group, list) and group for group in batch):
        document.errors.append(_error(at, "must be a list of lists of data"))
        return []
    read = []
    for number, group in enumerate(batch):
        for position, datum in enumerate(group):
            here = (*at, number, position)
            if not isinstance(datum, dict) or not all(
                isinstance(datum.get(key), kind)
                for key, kind in (("node_path", str), ("field_name", str), ("items", list))
            ):
                document.errors.append(_error(here, "must have a node_path, a field_name and a list of items"))
            elif datum["node_path"] not in document.graph["nodes"]:
                near = document.near(datum["node_path"], document.graph["nodes"])
                document.errors.append(_error((*here, "node_path"), f"names no node that runs{near}"))
            elif datum["field_name"] in _FIXED:
                document.errors.append(_error((*here, "field_name"), "names a field that a batch cannot set"))
            elif not datum["items"]:
                document.errors.append(_error((*here, "items"), "must not be empty"))
        read.append(copy.deepcopy(group))
    return [] if document.errors else read


def _batch_errors(document: Document, at: FieldPath) -> Iterator[FieldError]:
    for group in document.batch:
        if len({len(datum["items"]) for datum in group}) > 1:
            nodes = ", ".join(cut(datum["node_path"], _MAX_ID_CHARACTERS) for datum in group)
            yield _error(at, f"has lists of unlike lengths that go together (for {nodes})")
            return
    if document.sessions > MAX_SESSIONS:
        runs = document.sessions if document.sessions < _MAX_SHOWN else "far too many"
        yield _error(at, f"makes {runs} runs; a task may have at most {MAX_SESSIONS}")


def _error(at: FieldPath, detail: str) -> FieldError:
    return FieldError(field_path(at), detail)
