"""Decides which nodes of a prompt run, and in which order; one with the inputs of the last prompt is not run again."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from runtimes.comfyui.standin.files import Folders
from runtimes.comfyui.standin.nodes import VOLATILE


def is_link(value: object) -> bool:
    """Whether an input's value names another node's output."""
    return isinstance(value, list) and list(map(type, value)) == [str, int]


def signatures(prompt: Mapping[str, Any], folders: Folders) -> dict[str, str]:
    """Return a text for each node that identifies its work: its class, its inputs, and those of its ancestors."""
    known: dict[str, str] = {}

    def sign(node_id: str) -> str:
        if node_id not in known:
            # A circular or dangling link has no signature; such a node never runs.
            known[node_id] = ""
            kind, given = prompt[node_id]["class_type"], prompt[node_id].get("inputs", {})
            inputs = {
                name: [sign(value[0]), value[1]] if is_link(value) and value[0] in prompt else value
                for name, value in sorted(given.items())
            }
            text = json.dumps([kind, inputs, time.time_ns() if kind in VOLATILE else 0], default=str)
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
            file = folders.input_file(str(given.get("image"))) if kind == "LoadImage" else None
            digest.update(file.read_bytes() if file else b"")
            known[node_id] = digest.hexdigest()
        return known[node_id]

    for node_id in prompt:
        sign(node_id)
    return known


def order(prompt: Mapping[str, Any], outputs: list[str], is_cached: Callable[[str], bool]) -> list[str]:
    """Return the nodes to run, each after its sources, without cached nodes and what only those need."""
    ordered: dict[str, None] = {}

    def visit(node_id: str) -> None:
        if node_id in ordered:
            return
        for value in prompt[node_id]["inputs"].values():
            if is_link(value) and not is_cached(value[0]):
                visit(value[0])
        ordered[node_id] = None

    for output in outputs:
        visit(output)
    return list(ordered)
