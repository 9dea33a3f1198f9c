"""Where the graph of a task for ComfyUI stands in its content, and which of its nodes run."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from contract.field_errors import cut

_MAX_NAME_CHARS = 200
TARGETS = "partial_execution_targets"
"""The output nodes that are to run."""


def split(content: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """The graph of a content, which is the content itself or its ``prompt``, and what stands beside that."""
    if "prompt" not in content or is_node(content["prompt"]) or is_ui_format(content):
        return content, {}
    return content["prompt"], {key: content[key] for key in content if key != "prompt"}


def is_ui_format(content: Mapping[str, Any]) -> bool:
    """Whether it is a workflow in the format of ComfyUI's editor."""
    return isinstance(content.get("nodes"), list)


def is_node(value: Any) -> bool:
    """Whether it is a node of a graph."""
    return isinstance(value, dict) and "class_type" in value


def feeding(graph: Mapping[str, Any], outputs: list[str]) -> list[str]:
    """The nodes that run so that some of them can: those and all that feed them."""
    found = dict.fromkeys(node_id for node_id in outputs if node_id in graph)
    waiting = list(found)
    for node_id in waiting:  # grows meanwhile
        for value in graph[node_id]["inputs"].values():
            source = str(value[0]) if isinstance(value, list) and value else ""
            if source in graph and source not in found:
                found[source] = None
                waiting.append(source)
    return waiting


def node_names(graph: Mapping[str, Any]) -> dict[str, str]:
    """What each node of a workflow is called, by its id: its title, or else its class; with its id if not it alone."""
    titles = {node_id: _title(node) for node_id, node in graph.items()}
    counts = Counter(titles.values())
    return {
        node_id: title if counts[title] == 1 else f"{title} ({cut(node_id, _MAX_NAME_CHARS)})"
        for node_id, title in titles.items()
    }


def _title(node: Mapping[str, Any]) -> str:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    words = " ".join(str(title if isinstance(title, str) else "").split()) or str(node["class_type"])
    # The table takes no half of a pair of surrogates.
    return cut(words, _MAX_NAME_CHARS).encode(errors="replace").decode()
