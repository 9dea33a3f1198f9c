"""The budget of all links of one task: bytes, time on the web, and how many are fetched at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from contract.inputs import MAX_LINK_BYTES, MAX_LINKED_BYTES
from queue_agent.errors import InputError

MAX_LINKS = 32
"""Of one task."""
MAX_WEB_S = 30
"""From the first web request to the last response."""
_AT_ONCE = 4


class LinkBudget:
    """What is left for the links of one task; ``turns`` limits how many are fetched at once."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(_AT_ONCE)
        self._left_bytes = MAX_LINKED_BYTES
        self._web_ends_s: float | None = None

    def spend(self, size_bytes: int) -> None:
        """Take bytes off the budget; raises InputError when there are not so many left."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            max_mib = MAX_LINKED_BYTES // 1024 // 1024
            raise InputError(f"exceeds the limit of {max_mib} MiB for all links of a task together")

    def counter(self, places: int) -> Callable[[int], None]:
        """What counts the bytes of one link as they arrive, and raises InputError once there are too many.

        They count once for each of the link's places in the task; a negative number takes some back.
        """
        link_bytes = 0

        def count(size_bytes: int) -> None:
            nonlocal link_bytes
            link_bytes += size_bytes
            if link_bytes > MAX_LINK_BYTES:
                raise InputError(f"exceeds the limit of {MAX_LINK_BYTES} bytes for one link")
            self.spend(size_bytes * places)

        return count

    @asynccontextmanager
    async def web_time(self) -> AsyncIterator[None]:
        """Limit the time on the web, which runs from the first use; raises InputError when it is up."""
        if self._web_ends_s is None:
            self._web_ends_s = asyncio.get_running_loop().time() + MAX_WEB_S
        try:
            async with asyncio.timeout_at(self._web_ends_s):
                yield
        except TimeoutError:
            words = f"was not fetched within the {MAX_WEB_S:g} s that all web links of a task have together"
            raise InputError(words) from None
