"""The queues of a runtime with priorities, of which messages are taken by weight."""

import asyncio
import logging
import random
from collections.abc import Mapping

from contract.queues import Priority
from queue_agent.aws.queue import QueueMessage, SqsQueue
from queue_agent.errors import PlatformError

logger = logging.getLogger(__name__)

_HIGH, _NORMAL, _LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW
TURNS = (_HIGH, _NORMAL, _HIGH, _HIGH, _NORMAL, _HIGH, _LOW, _HIGH, _NORMAL, _HIGH)
"""Whose turn it is, over and over: while all have messages, six of ten are high, three normal and one low."""


class PriorityQueues:
    """A runtime's queues as one to receive from.

    The queue whose turn it is comes first; where it is empty, the most urgent of the others. A call that finds all
    empty waits at all of them, and the first message ends it. The other waits go on, and what they receive while
    nobody wants it goes back at once: SQS may not notice that a caller has hung up, and would hide the message for the
    whole visibility timeout.

    All calls raise PlatformError when they fail. ``first_turn`` is the place in ``TURNS`` to begin at; by default any,
    so that agents that live for a few jobs only take some of each priority.
    """

    def __init__(self, queues: Mapping[Priority, SqsQueue], *, first_turn: int | None = None) -> None:
        self._queues = queues
        self._turn = random.randrange(len(TURNS)) if first_turn is None else first_turn  # noqa: S311 (no secret)
        self._waits: dict[Priority, asyncio.Task[None]] = {}
        self._wanted: asyncio.Future[list[QueueMessage]] | None = None
        self._is_idle = False

    async def receive(self, max_messages: int = 1) -> list[QueueMessage]:
        """Receive up to so many messages of one queue, waiting as long as ``SqsQueue.receive`` does."""
        # After an empty wait the next one answers as soon as a look would, for half the requests.
        messages = [] if self._is_idle else await self._look(max_messages)
        if not messages:
            messages = await self._wait(max_messages)
        self._is_idle = not messages
        return messages

    async def aclose(self) -> None:
        """End the waits."""
        waits = list(self._waits.values())
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _look(self, max_messages: int) -> list[QueueMessage]:
        turn = TURNS[self._turn]
        for priority in sorted(self._queues, key=lambda one: (one is not turn, list(Priority).index(one))):
            # A queue that is still waited at is empty.
            if priority not in self._waits and (found := await self._queues[priority].receive_now(max_messages)):
                self._turn = (self._turn + 1) % len(TURNS)
                return found
        return []

    async def _wait(self, max_messages: int) -> list[QueueMessage]:
        self._wanted = asyncio.get_running_loop().create_future()
        for priority in self._queues:
            if priority not in self._waits:
                self._waits[priority] = asyncio.create_task(self._wait_at(priority, max_messages), name="wait")
        return await self._wanted

    async def _wait_at(self, priority: Priority, max_messages: int) -> None:
        queue = self._queues[priority]
        try:
            messages = await queue.receive(max_messages)
        except Exception as exc:  # noqa: BLE001 (it is the waiting call's, or nobody's)
            if self._wanted is not None and not self._wanted.done():
                self._wanted.set_exception(exc)
            return
        finally:
            del self._waits[priority]
        if self._wanted is not None and not self._wanted.done():
            # None of them, too: the call that waited comes back, and waits at this queue again.
            self._wanted.set_result(messages)
            return
        for message in messages:
            try:
                await queue.release(message)
            except PlatformError as exc:
                logger.warning("a message is hidden until its visibility ends: %s", exc)
