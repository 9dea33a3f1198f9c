"""Which nodes of a prompt run, in which order; a node with the same inputs as in the last prompt is not run again."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtimes.comfyui.standin.registry import NODES, Library


def is_link(value: object) -> bool:
    """Whether an input's value names another node's output."""
    return isinstance(value, list) and list(map(type, value)) == [str, int]


@dataclass
class NodeCache:
    """The outputs of the nodes of the last prompt, and what its output nodes showed, by signature."""

    outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)

    def keep_only(self, signatures: set[str]) -> None:
        """Forget everything that the coming prompt does not use."""
        self.outputs = {key: value for key, value in self.outputs.items() if key in signatures}
        self.shown = {key: value for key, value in self.shown.items() if key in signatures}


def signatures(prompt: Mapping[str, Any], library: Library) -> dict[str, str]:
    """Return for each node a text that is the same only for the same work: its class, its inputs, its ancestors'."""
    known: dict[str, str] = {}

    def sign(node_id: str) -> str:
        if node_id not in known:
            # A link in a circle or to nowhere has no signature of its own; such a node never runs.
            known[node_id] = ""
            kind, given = NODES[prompt[node_id]["class_type"]], prompt[node_id].get("inputs", {})
            inputs = {
                name: [sign(value[0]), value[1]] if is_link(value) and value[0] in prompt else value
                for name, value in sorted(given.items())
            }
            file = library.folders.input_file(str(given.get(kind.file_input))) if kind.file_input else None
            text = json.dumps([kind.name, inputs, time.time_ns() if kind.is_volatile else 0], default=str)
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
            digest.update(file.read_bytes() if file else b"")
            known[node_id] = digest.hexdigest()
        return known[node_id]

    for node_id in prompt:
        sign(node_id)
    return known


class NodeGraph:
    """The nodes that are still to run; cached ones are left out with everything that only they need."""

    def __init__(self, prompt: Mapping[str, Any], outputs: list[str], is_cached: Callable[[str], bool]) -> None:
        self._prompt = prompt
        self._waits_for: dict[str, set[str]] = {}
        self._blocks: dict[str, list[str]] = {}
        waiting = list(reversed(outputs))
        while waiting:
            one = waiting.pop()
            if one in self._waits_for:
                continue
            links = [value[0] for value in prompt[one]["inputs"].values() if is_link(value)]
            needed = [source for source in links if not is_cached(source)]
            self._waits_for[one] = set(needed)
            self._blocks.setdefault(one, [])
            for source in needed:
                self._blocks.setdefault(source, []).append(one)
            waiting.extend(needed)

    def next(self) -> str | None:
        """Return the node to run next, or None when all are done.

        Among those that are ready an output node goes first, then one that leads to an output in one step, then in two.
        """
        ready = [node_id for node_id, needed in self._waits_for.items() if not needed]
        reaches = ((reach, node_id) for reach in range(3) for node_id in ready)
        return next((node_id for reach, node_id in reaches if self._leads_to_output(node_id, reach)), (*ready, None)[0])

    def done(self, node_id: str) -> None:
        """Strike out a node that ran."""
        del self._waits_for[node_id]
        for blocked in self._blocks.pop(node_id):
            self._waits_for[blocked].discard(node_id)

    def pending(self) -> list[str]:
        """Return the nodes that have not run."""
        return list(self._waits_for)

    def _leads_to_output(self, node_id: str, reach: int) -> bool:
        if reach == 0:
            return NODES[self._prompt[node_id]["class_type"]].is_output
        return any(self._leads_to_output(blocked, reach - 1) for blocked in self._blocks[node_id])
