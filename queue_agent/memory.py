"""Bounds the memory that the tasks of one agent take together: contents, inputs, requests and results."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from contract.inputs import MAX_LINK_BYTES, MAX_LINKED_BYTES, is_link
from queue_agent.media import Media
from queue_agent.ports import Input, Result

_UNPACKED = 4
"""How often a task's bytes are in memory while it is prepared: as received, as values, in base64, and in JSON."""

Fetch = Callable[[Sequence[Input]], Awaitable[dict[str, Media]]]
"""Reads a task's inputs."""


class MemoryBudget:
    """The memory for all tasks of an agent, first come, first served.

    A task that needs more than is left waits until all others that do not wait themselves have ended, and continues
    alone: even the largest task can run.
    """

    def __init__(self, max_bytes: int) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._tasks: set[TaskMemory] = set()
        self._waiting: dict[asyncio.Event, tuple[TaskMemory, int]] = {}

    @contextmanager
    def task(self, fetch: Fetch) -> Iterator["TaskMemory"]:
        """A task's memory, none at first and returned at the end."""
        task = TaskMemory(self, fetch)
        self._tasks.add(task)
        try:
            yield task
        finally:
            task.hold(0)
            self._tasks.remove(task)
            self.grant()

    async def wait_for(self, task: "TaskMemory", size_bytes: int) -> None:
        """Wait until the task can hold so many bytes."""
        granted = asyncio.Event()
        self._waiting[granted] = task, size_bytes
        self.grant()
        try:
            await granted.wait()
        finally:
            self._waiting.pop(granted, None)
            self.grant()

    def grant(self) -> None:
        """Give those who wait what there is, in their order."""
        while self._waiting:
            granted, (task, size_bytes) = next(iter(self._waiting.items()))
            if not self._has_room(task, size_bytes):
                return
            del self._waiting[granted]
            self.held_bytes += size_bytes - task.size_bytes
            task.size_bytes = size_bytes
            granted.set()

    def _has_room(self, task: "TaskMemory", size_bytes: int) -> bool:
        if self.held_bytes - task.size_bytes + size_bytes <= self._max_bytes:
            return True
        waiting = {other for other, _ in self._waiting.values()}
        return not any(other.size_bytes for other in self._tasks - waiting)


class TaskMemory:
    """What one task holds on its way; reads its inputs once there is memory for them."""

    def __init__(self, budget: MemoryBudget, fetch: Fetch) -> None:
        self.size_bytes = 0
        self._budget = budget
        self._fetch = fetch
        self._content_bytes = 0
        self._fetched_bytes = 0
        self._limit: asyncio.Timeout | None = None

    def hold(self, size_bytes: int) -> None:
        """Note that the task already holds so many bytes, more or fewer than before."""
        self._budget.held_bytes += size_bytes - self.size_bytes
        self.size_bytes = size_bytes
        self._budget.grant()

    async def take(self, size_bytes: int) -> None:
        """Hold so many bytes from now on, once there are as many; the time limit pauses meanwhile."""
        if size_bytes <= self.size_bytes:
            self.hold(size_bytes)
            return
        now_s, limit = asyncio.get_running_loop().time, self._limit
        if limit is None or (when_s := limit.when()) is None:
            await self._budget.wait_for(self, size_bytes)
            return
        left_s = when_s - now_s()
        limit.reschedule(None)
        await self._budget.wait_for(self, size_bytes)
        limit.reschedule(now_s() + left_s)

    def time_limit(self, seconds: float) -> asyncio.Timeout:
        """A time limit for the task's preparation, without the time that the task waits for memory."""
        self._limit = asyncio.timeout(seconds)
        return self._limit

    async def expect_content(self, max_bytes: int) -> None:
        """Wait until there is memory for a content of that size."""
        await self.take(_UNPACKED * max_bytes)

    def has_content(self, size_bytes: int) -> None:
        """Note the size of the task's content."""
        self._content_bytes = size_bytes
        self.hold(_UNPACKED * size_bytes)

    async def fetch(self, inputs: Sequence[Input]) -> dict[str, Media]:
        """Read inputs once there is memory for the largest files that their links may lead to."""
        before_bytes = self._content_bytes + self._fetched_bytes
        links = {item.text for item in inputs if is_link(item.text)}
        linked_bytes = min(len(links) * MAX_LINK_BYTES, MAX_LINKED_BYTES)
        await self.take(_UNPACKED * (before_bytes + linked_bytes))
        read = await self._fetch(inputs)
        self._fetched_bytes += sum(len(media.data) for text, media in read.items() if text in links)
        self.hold(_UNPACKED * (self._content_bytes + self._fetched_bytes))
        return read

    def is_prepared(self) -> None:
        """Note that the request is written, and its parts are no longer in memory."""
        self.hold(2 * (self._content_bytes + self._fetched_bytes))

    def has_result(self, result: Result) -> None:
        """Note the job's result."""
        in_memory = (len(output.content) for output in result.outputs if isinstance(output.content, bytes))
        self.hold(self.size_bytes + sum(in_memory))
