"""Keeps a message hidden from other agents while its job is worked on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from queue_agent.errors import PlatformFault
from queue_agent.ports import Queue, QueueMessage

logger = logging.getLogger(__name__)


@asynccontextmanager
async def kept_hidden(queue: Queue, message: QueueMessage) -> AsyncIterator[None]:
    """Renew a message's visibility three times per period for as long as the context lasts."""
    heartbeat = asyncio.create_task(_renew(queue, message), name="heartbeat")
    try:
        yield
    finally:
        heartbeat.cancel()
        with suppress(asyncio.CancelledError):
            await heartbeat


async def _renew(queue: Queue, message: QueueMessage) -> None:
    while True:
        await asyncio.sleep(queue.visibility_s / 3)
        try:
            await queue.extend(message)
        except PlatformFault as exc:
            logger.warning("the message's visibility was not renewed: %s", exc)
