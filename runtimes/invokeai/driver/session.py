"""A task as InvokeAI runs it: a graph, its batch, and the files that stand for its links."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.field_errors import FieldPath, field_path
from contract.task import Task
from queue_agent.errors import InputError, InvalidTask
from queue_agent.inputs.links import MAX_INPUTS, InputSite
from queue_agent.ports import Input, Work, units_of
from runtimes._http import as_object
from runtimes._wording import in_words, shorten_name
from runtimes.invokeai.document import FILE_KEYS, Document, read_document

_SEED = "seed"


@dataclass(slots=True)
class Session:
    """A task to run.

    Attributes:
        uploads: Files on the server that stand for its links, by name, with their kind.
        server_id: What it runs under on the server; None before it runs.
    """

    document: Document
    work: Work
    uploads: dict[str, str] = field(default_factory=dict)
    server_id: str | None = None

    @property
    def graph(self) -> dict[str, Any]:
        """Its nodes and edges."""
        return self.document.graph

    def name_of(self, node_id: str) -> str | None:
        """A node's label, or else its type; None where there is no node."""
        node = self.graph["nodes"].get(node_id)
        return None if node is None else shorten_name(self.document.titles.get(node_id) or node["type"])

    @property
    def model(self) -> str | None:
        """The name of its first main model."""
        values = (value for node in self.graph["nodes"].values() for value in node.values() if isinstance(value, dict))
        return next((value["name"] for value in values if value.get("type") == "main" and "name" in value), None)


def session_of(task: Task) -> Session:
    """Read a task.

    Raises:
        InvalidTask: Its content is no graph or workflow that can run.
    """
    if task.metadata.tasktype != "pipeline":
        raise InvalidTask(f"InvokeAI has no task type {task.metadata.tasktype}; it has pipeline.")
    document = read_document(task.content or {})
    if document.errors:
        raise InvalidTask(in_words(document.errors))
    for node in document.graph["nodes"].values():
        # A cached result is the file of an earlier job, which is removed with that job.
        node["use_cache"] = False
    return Session(document, _work_of(document))


def file_sites(document: Document) -> Iterator[InputSite]:
    """All places of a graph that hold a file: ``{"image_name": …}`` or ``{"video_name": …}``, at any depth.

    Raises:
        InputError: There are more than MAX_INPUTS.
    """
    number = 0
    for path, value in document.fields():
        for site in _sites(value, path):
            number += 1
            if number > MAX_INPUTS:
                raise InputError(f"{site.input.field}: a task may have at most {MAX_INPUTS} inputs")
            yield site


def _sites(value: Any, at: FieldPath) -> Iterator[InputSite]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in FILE_KEYS and isinstance(item, str):
                yield InputSite(value, key, Input(item, field_path((*at, key)), (FILE_KEYS[key],)))
            else:
                yield from _sites(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _sites(item, (*at, number))


def _work_of(document: Document) -> Work:
    """The steps of all denoising nodes, times the runs. Graphs of a kind differ only in texts, seeds and steps."""
    nodes = document.graph["nodes"].values()
    steps = sum(units_of(node["steps"]) for node in nodes if isinstance(node.get("steps"), int | float))
    shape = [
        (node["type"], sorted((name, value) for name, value in node.items() if _shapes(name, value))) for node in nodes
    ]
    return Work(hashlib.sha256(repr(shape).encode()).hexdigest(), max(1.0, steps) * document.sessions)


def _shapes(name: str, value: Any) -> bool:
    return isinstance(value, int | float) and name not in {_SEED, "steps"}


def sources_of(edges: Any) -> dict[str, list[str]]:
    """The nodes that lead to each node, by the edges of a graph that has run."""
    sources: dict[str, list[str]] = {}
    for edge in map(as_object, edges if isinstance(edges, list) else ()):
        source, destination = (as_object(edge.get(end)).get("node_id") for end in ("source", "destination"))
        sources.setdefault(str(destination), []).append(str(source))
    return sources


def seed_of(nodes: Mapping[str, Any], sources: Mapping[str, Sequence[str]], node_id: str) -> int | None:
    """The seed nearest upstream of a node; ``sources`` are those of ``sources_of``."""
    upstream, seen = [node_id], {node_id}
    for current in upstream:  # grows meanwhile, level by level
        node = as_object(nodes.get(current))
        if isinstance(seed := node.get(_SEED), int):
            return seed
        for source in sources.get(current, ()):
            if source not in seen:
                seen.add(source)
                upstream.append(source)
    return None
