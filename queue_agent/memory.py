"""Bounds the memory that the tasks of one agent take together: contents, inputs, requests and results."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from contract.inputs import MAX_LINK_BYTES, MAX_LINKED_BYTES, is_link
from queue_agent.media import Media
from queue_agent.ports import Input, Result

_UNPACKED = 4
"""How often a task's bytes are in memory while it is prepared: as received, as values, in base64, and in JSON."""


class MemoryBudget:
    """The memory for all tasks of an agent, first come, first served.

    A task that needs more than is left waits until all others that do not wait themselves have ended, and continues
    alone: even the largest task can run.

    Args:
        max_bytes: How much there is.

    Attributes:
        held_bytes: How much is held now.
    """

    def __init__(self, max_bytes: int) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._waiting: deque[_Wait] = deque()
        self._shares: set[MemoryShare] = set()

    @contextmanager
    def share(self) -> Iterator["MemoryShare"]:
        """A task's share, empty at first and returned at the end."""
        share = MemoryShare(self)
        self._shares.add(share)
        try:
            yield share
        finally:
            share.hold(0)
            self._shares.remove(share)
            self._grant()

    def _changed(self, by_bytes: int) -> None:
        self.held_bytes += by_bytes
        if by_bytes < 0:
            self._grant()

    async def _wait(self, share: "MemoryShare", size_bytes: int) -> None:
        wait = _Wait(share, size_bytes)
        self._waiting.append(wait)
        self._grant()
        try:
            await wait.granted.wait()
        except asyncio.CancelledError:
            if wait in self._waiting:
                self._waiting.remove(wait)
            self._grant()
            raise

    def _grant(self) -> None:
        while self._waiting and self._can_have(self._waiting[0]):
            wait = self._waiting.popleft()
            self.held_bytes += wait.size_bytes - wait.share.size_bytes
            wait.share.size_bytes = wait.size_bytes
            wait.granted.set()

    def _can_have(self, wait: "_Wait") -> bool:
        if self.held_bytes - wait.share.size_bytes + wait.size_bytes <= self._max_bytes:
            return True
        waiting = {other.share for other in self._waiting}
        return not any(share.size_bytes for share in self._shares - waiting)


class MemoryShare:
    """What one task holds.

    Attributes:
        size_bytes: How much that is.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self.size_bytes = 0
        self._budget = budget

    async def take(self, size_bytes: int) -> None:
        """Hold so many bytes from now on, once there are as many."""
        if size_bytes <= self.size_bytes:
            self.hold(size_bytes)
        else:
            await self._budget._wait(self, size_bytes)

    def hold(self, size_bytes: int) -> None:
        """Note that the task already holds so many bytes, more or fewer than before."""
        by_bytes, self.size_bytes = size_bytes - self.size_bytes, size_bytes
        self._budget._changed(by_bytes)


class _Wait:
    def __init__(self, share: MemoryShare, size_bytes: int) -> None:
        self.share = share
        self.size_bytes = size_bytes
        self.granted = asyncio.Event()


class TaskMemory:
    """Adjusts a task's share to what the task holds on its way; reads its inputs.

    Args:
        share: The share.
        fetch: Reads the task's inputs.
    """

    def __init__(self, share: MemoryShare, fetch: Callable[[Sequence[Input]], Awaitable[dict[str, Media]]]) -> None:
        self._share = share
        self._fetch = fetch
        self._content_bytes = 0
        self._fetched_bytes = 0
        self._limit: asyncio.Timeout | None = None

    def time_limit(self, seconds: float) -> asyncio.Timeout:
        """A time limit for the task's preparation, which pauses while the task waits for memory."""
        self._limit = asyncio.timeout(seconds)
        return self._limit

    async def _take(self, size_bytes: int) -> None:
        now_s, limit = asyncio.get_running_loop().time, self._limit
        if limit is None or (when_s := limit.when()) is None:
            await self._share.take(size_bytes)
            return
        left_s = when_s - now_s()
        limit.reschedule(None)
        await self._share.take(size_bytes)
        limit.reschedule(now_s() + left_s)

    async def expect_content(self, max_bytes: int) -> None:
        """Wait until there is memory for a content of that size."""
        await self._take(_UNPACKED * max_bytes)

    def has_content(self, size_bytes: int) -> None:
        """Note the size of the task's content."""
        self._content_bytes = size_bytes
        self._share.hold(_UNPACKED * size_bytes)

    async def fetch(self, inputs: Sequence[Input]) -> dict[str, Media]:
        """Read inputs once there is memory for the largest files that their links may lead to."""
        before_bytes = self._content_bytes + self._fetched_bytes
        links = {item.text for item in inputs if is_link(item.text)}
        linked_bytes = min(len(links) * MAX_LINK_BYTES, MAX_LINKED_BYTES)
        await self._take(_UNPACKED * (before_bytes + linked_bytes))
        read = await self._fetch(inputs)
        self._fetched_bytes += sum(len(media.data) for text, media in read.items() if text in links)
        self._share.hold(_UNPACKED * (self._content_bytes + self._fetched_bytes))
        return read

    def is_prepared(self) -> None:
        """Note that the request is written, and its parts are no longer in memory."""
        self._share.hold(2 * (self._content_bytes + self._fetched_bytes))

    def has_result(self, result: Result) -> None:
        """Note the job's result."""
        in_memory = (len(output.content) for output in result.outputs if isinstance(output.content, bytes))
        self._share.hold(self._share.size_bytes + sum(in_memory))
