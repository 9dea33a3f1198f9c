"""The queue of prompts and the history of those that ran; both live in memory only."""

import asyncio
import copy
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Messages = list[tuple[str, dict[str, Any]]]


@dataclass(order=True)
class QueuedPrompt:
    """One prompt in the queue; the lower number runs first."""

    number: float
    prompt_id: str
    prompt: dict[str, Any] = field(compare=False)
    extra_data: Any = field(compare=False)
    outputs: list[str] = field(compare=False)

    def as_json(self) -> list[Any]:
        """Return the item as the queue and the history show it."""
        return [self.number, self.prompt_id, self.prompt, self.extra_data, self.outputs]


class PromptQueue:
    """Pending prompts, the running one and the history; `changed` is called whenever the length may have changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._pending: list[QueuedPrompt] = []
        self._filled = asyncio.Event()
        self.running: QueuedPrompt | None = None
        self.history: dict[str, dict[str, Any]] = {}

    @property
    def remaining(self) -> int:
        """How many prompts wait or run."""
        return len(self._pending) + (self.running is not None)

    def put(self, item: QueuedPrompt) -> None:
        """Add a prompt."""
        heapq.heappush(self._pending, item)
        self._changed()
        self._filled.set()

    async def get(self) -> QueuedPrompt:
        """Wait for a prompt and mark it as running."""
        while not self._pending:
            self._filled.clear()
            await self._filled.wait()
        self.running = heapq.heappop(self._pending)
        self._changed()
        return self.running

    def done(self, outputs: dict[str, Any], status: dict[str, Any]) -> None:
        """Move the running prompt into the history; a former entry of the same id is lost."""
        if self.running is not None:
            entry = {"prompt": self.running.as_json(), "outputs": {}, "status": status, **outputs}
            self.history[self.running.prompt_id] = copy.deepcopy(entry)
            self.running = None
            self._changed()

    def delete(self, prompt_id: str) -> None:
        """Take a pending prompt out of the queue; an unknown or running one is left alone."""
        for item in self._pending:
            if item.prompt_id == prompt_id:
                self._pending.remove(item)
                heapq.heapify(self._pending)
                self._changed()
                return

    def clear(self) -> None:
        """Take every pending prompt out of the queue."""
        self._pending.clear()
        self._changed()

    def as_json(self) -> dict[str, Any]:
        """Return the answer of GET queue."""
        running = [self.running.as_json()] if self.running is not None else []
        return {"queue_running": running, "queue_pending": [item.as_json() for item in self._pending]}

    def newest(self, most: int | None, offset: int) -> dict[str, Any]:
        """Return up to `most` entries of the history from `offset`; a negative offset means the newest."""
        if offset < 0:
            offset = 0 if most is None else max(0, len(self.history) - most)
        names = list(self.history)[offset:]
        return {name: self.history[name] for name in (names if most is None else names[:most])}
