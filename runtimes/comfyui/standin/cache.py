"""Which results of the last prompt the next one can reuse: a node with the same inputs is not run again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runtimes.comfyui.standin.registry import NODES, Library


def is_link(value: object) -> bool:
    """Tell whether an input's value names another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)  # noqa: PLR2004


@dataclass
class Cache:
    """The outputs of the nodes of the last prompt, and what its output nodes showed."""

    outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)

    def keep_only(self, signatures: set[str]) -> None:
        """Forget everything that the coming prompt does not use."""
        self.outputs = {key: value for key, value in self.outputs.items() if key in signatures}
        self.shown = {key: value for key, value in self.shown.items() if key in signatures}

    def clear(self) -> None:
        """Forget everything."""
        self.keep_only(set())


def signatures(prompt: Mapping[str, Any], library: Library) -> dict[str, str]:
    """Return for each node a text that is the same only for the same work: its class, its inputs, its ancestors'."""
    known: dict[str, str] = {}

    def sign(node_id: str) -> str:
        if node_id not in known:
            # A link in a circle or to nowhere has no signature of its own; such a node never runs.
            known[node_id] = ""
            entry = prompt[node_id]
            kind = NODES[entry["class_type"]]
            inputs = {
                name: [sign(value[0]), value[1]] if is_link(value) and value[0] in prompt else value
                for name, value in sorted(entry.get("inputs", {}).items())
            }
            fingerprint = kind.fingerprint(entry.get("inputs", {}), library) if kind.fingerprint else ""
            text = json.dumps([kind.name, inputs, fingerprint], sort_keys=True, default=str)
            known[node_id] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return known[node_id]

    for node_id in prompt:
        sign(node_id)
    return known
