"""The order in which the nodes of a prompt run."""

from collections.abc import Callable, Mapping
from typing import Any

from runtimes.comfyui.standin.cache import is_link
from runtimes.comfyui.standin.registry import NODES


class Graph:
    """The nodes that are still to run; cached ones are left out with everything that only they need."""

    def __init__(self, prompt: Mapping[str, Any], is_cached: Callable[[str], bool]) -> None:
        self._prompt = prompt
        self._is_cached = is_cached
        self._waits_for: dict[str, set[str]] = {}
        self._blocks: dict[str, list[str]] = {}

    def add(self, node_id: str) -> None:
        """Take in a node and what it needs."""
        waiting = [node_id]
        while waiting:
            one = waiting.pop()
            if one in self._waits_for:
                continue
            links = [value[0] for value in self._prompt[one]["inputs"].values() if is_link(value)]
            needed = [source for source in links if not self._is_cached(source)]
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
        if not ready:
            return None
        for reach in range(3):
            for node_id in ready:
                if self._leads_to_output(node_id, reach):
                    return node_id
        return ready[0]

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
            return NODES[self._prompt[node_id]["class_type"]].output
        return any(self._leads_to_output(blocked, reach - 1) for blocked in self._blocks[node_id])
