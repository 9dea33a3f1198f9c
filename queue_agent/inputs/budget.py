"""The budget of all links of one task: bytes, time on the web, and how many are fetched at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contract.inputs import MAX_LINK_BYTES, MAX_LINKED_BYTES
from queue_agent.errors import InputError

MAX_LINKS = 32
"""Of one task."""
MAX_WEB_S = 30
"""From the first web request to the last response."""
_AT_ONCE = 4


class LinkBudget:
    """What is left for the links of one task.

    Attributes:
        turns: Limits how many links are fetched at once.
    """

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(_AT_ONCE)
        self._left_bytes = MAX_LINKED_BYTES
        self._web_ends_s: float | None = None

    def spend(self, size_bytes: int) -> None:
        """Take bytes off the budget.

        Raises:
            InputError: There are not so many left.
        """
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            max_mib = MAX_LINKED_BYTES // 1024 // 1024
            raise InputError(f"exceeds the limit of {max_mib} MiB for all links of a task together")

    @asynccontextmanager
    async def web_time(self) -> AsyncIterator[None]:
        """Limit the time on the web; it runs from the first use.

        Raises:
            InputError: Time is up.
        """
        if self._web_ends_s is None:
            self._web_ends_s = asyncio.get_running_loop().time() + MAX_WEB_S
        try:
            async with asyncio.timeout_at(self._web_ends_s):
                yield
        except TimeoutError:
            words = f"was not fetched within the {MAX_WEB_S:g} s that all web links of a task have together"
            raise InputError(words) from None


class ByteCounter:
    """Counts the bytes of one link as they arrive.

    Args:
        budget: The budget of its task.
        places: How often the task has the link; its bytes are used in each place.

    Attributes:
        budget: As given.
    """

    def __init__(self, budget: LinkBudget, places: int) -> None:
        self.budget = budget
        self._places = places
        self._size_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count bytes that have arrived; a negative number takes some back.

        Raises:
            InputError: They are too many for one link, or for all links of a task.
        """
        self._size_bytes += size_bytes
        if self._size_bytes > MAX_LINK_BYTES:
            raise InputError(f"exceeds the limit of {MAX_LINK_BYTES} bytes for one link")
        self.budget.spend(size_bytes * self._places)
