"""What the links of one task may cost, all together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contract.inputs import MAX_LINK_BYTES, MAX_LINKED_BYTES
from queue_agent.errors import InputError

MAX_LINKS = 32
"""That a task may hold."""
MAX_WEB_S = 30
"""From the first request to the web to the last answer."""
_AT_ONCE = 4


class Allowance:
    """What is left to the links of one task.

    Attributes:
        turns: Each link is fetched within one.
    """

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(_AT_ONCE)
        self._left_bytes = MAX_LINKED_BYTES
        self._web_ends_s: float | None = None

    def spend(self, size_bytes: int) -> None:
        """Take bytes off.

        Raises:
            InputError: There were not so many left.
        """
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            max_mib = MAX_LINKED_BYTES // 1024 // 1024
            raise InputError(f"exceeds the limit of {max_mib} MiB for all links of a task together")

    @asynccontextmanager
    async def web_time(self) -> AsyncIterator[None]:
        """Limits the time that is spent on the web; the clock runs from when this is entered for the first time.

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


class Tally:
    """Counts the bytes that one link leads to, as they arrive.

    Args:
        allowance: What is left to the links of its task.
        places: In how many places of the task it stands; its bytes go into each.

    Attributes:
        allowance: As given.
    """

    def __init__(self, allowance: Allowance, places: int) -> None:
        self.allowance = allowance
        self._places = places
        self._size_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Note that so many more have arrived; a negative number takes some back.

        Raises:
            InputError: They are too many for a link, or for the links of a task.
        """
        self._size_bytes += size_bytes
        if self._size_bytes > MAX_LINK_BYTES:
            raise InputError(f"exceeds the limit of {MAX_LINK_BYTES} bytes for one link")
        self.allowance.spend(size_bytes * self._places)
