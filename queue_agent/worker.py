"""The agent's life: wait for the model server, take a message, handle it, until told to stop."""

import asyncio
import logging
from typing import Any

from queue_agent.errors import PlatformFault
from queue_agent.pipeline import Pipeline
from queue_agent.ports import ModelServer, Queue, QueueMessage

logger = logging.getLogger(__name__)

_PAUSE_AFTER_FAULT_S = 2


class Worker:
    """Takes messages one at a time.

    Args:
        queue: Where they come from.
        server: The model server; no message is taken while it is not ready.
        pipeline: What is done with them.
        stop: Ends the work once set.
        grace_s: How long the running job may go on after that.
    """

    def __init__(
        self, *, queue: Queue, server: ModelServer, pipeline: Pipeline, stop: asyncio.Event, grace_s: float
    ) -> None:
        self._queue = queue
        self._server = server
        self._pipeline = pipeline
        self._stop = stop
        self._grace_s = grace_s

    async def run(self) -> None:
        """Work until ``stop`` is set; the running job is finished within the grace, else given back."""
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        while not self._stop.is_set():
            turn = asyncio.create_task(self._take(), name="take")
            await asyncio.wait({turn, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done():
                # A message that SQS hands out in this very moment comes again when its visibility ends.
                await _cancel(turn)
            elif (message := turn.result()) is not None:
                await self._handle(message, stopping)
        await stopping

    async def _take(self) -> QueueMessage | None:
        try:
            await self._server.wait_until_ready()
            return await self._queue.receive()
        except PlatformFault as exc:
            logger.warning("no message could be taken: %s", exc)
            await asyncio.sleep(_PAUSE_AFTER_FAULT_S)
            return None

    async def _handle(self, message: QueueMessage, stopping: asyncio.Task[bool]) -> None:
        job = asyncio.create_task(self._pipeline.handle(message), name="job")
        await asyncio.wait({job, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            logger.info("stopping; the running job has %g s left", self._grace_s)
            await asyncio.wait({job}, timeout=self._grace_s)
            await _cancel(job)
        if not job.cancelled() and (failure := job.exception()) is not None:
            # Whatever it was, the message is still in the queue and comes again when its visibility ends.
            logger.error("the message could not be handled: %s", failure)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
