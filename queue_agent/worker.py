"""The agent's life: take messages as the GPU needs them until the agent is stopped, then drain."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any

from queue_agent.aws.priorities import PriorityQueues
from queue_agent.aws.queue import QueueMessage, SqsQueue
from queue_agent.errors import PlatformError, ServerError
from queue_agent.kubernetes import BusyAnnotator
from queue_agent.ports import Supervised
from queue_agent.processing import Processor
from queue_agent.scheduler.slots import Scheduler, SlotState
from queue_agent.server_monitor import ServerMonitor
from queue_agent.shutdown import Jobs, finish, interruptible

logger = logging.getLogger(__name__)

_PAUSE_AFTER_ERROR_S = 2


@dataclass(slots=True, kw_only=True)
class Worker:
    """Takes messages and processes them side by side.

    No message is taken until the model server is ready; when it is lost, its jobs are released.
    """

    queue: SqsQueue | PriorityQueues
    server: Supervised
    processor: Processor
    scheduler: Scheduler
    monitor: ServerMonitor
    annotator: BusyAnnotator
    stop: asyncio.Event
    """Stops the worker once set."""
    grace_s: float
    """How long running jobs may continue then."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the model server has been ready."""
    _receiving: asyncio.Task[list[QueueMessage]] | None = None
    _jobs: Jobs = field(default_factory=dict)

    @property
    def takes_jobs(self) -> bool:
        """Whether it receives messages: its model server can be used, and it is not stopping."""
        return self.ready.is_set() and self.monitor.usable.is_set() and not self.stop.is_set()

    async def run(self) -> None:
        """Work until ``stop`` is set; then finish the jobs that can end within the grace, and release all others."""
        stopping = asyncio.create_task(self.stop.wait(), name="stop")
        ready = asyncio.create_task(self._until_server_is_ready(), name="ready")
        await asyncio.wait({ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await _cancel(ready)
            return
        ready.result()
        self.scheduler.open(self.server.capacity)
        self.ready.set()
        # Monitored from its first readiness on: a server that is still loading its model is not lost.
        background = {self.monitor.start(), asyncio.create_task(self._release_when_lost(), name="lost")}
        try:
            while not self.stop.is_set():
                self._receiving = receiving = asyncio.create_task(self._receive(), name="receive")
                await asyncio.wait({receiving, stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    # A message that SQS delivers at this very moment is delivered again when its visibility ends.
                    await _cancel(receiving)
                elif not receiving.cancelled():
                    for message in receiving.result():
                        self._process(message)
                for task in background:
                    if task.done():
                        task.result()  # they end only with an error, and the agent must not continue without them
            await self._drain()
        finally:
            for task in background:
                task.cancel()

    async def _until_server_is_ready(self) -> None:
        """Wait for the model server, and clear what an earlier agent left on it."""
        while True:
            await self.server.wait_until_ready()
            try:
                await self.server.clear()
            except ServerError as exc:
                logger.warning("jobs of an earlier agent could not be cleared: %s", exc)
            except Exception:
                # A driver's bug: the worker must not end before its first message, and the next attempt may succeed.
                logger.exception("jobs of an earlier agent could not be cleared")
            else:
                return
            await asyncio.sleep(_PAUSE_AFTER_ERROR_S)

    async def _receive(self) -> list[QueueMessage]:
        """Receive the next messages once they are wanted; none after an error."""
        try:
            await self.monitor.usable.wait()
            max_messages = await self.scheduler.until_next_is_wanted()
            if self.scheduler.is_idle:
                await self.server.wait_until_ready()
            start_s = time.monotonic()
            messages = await self.queue.receive(max_messages)
        except PlatformError as exc:
            logger.warning("no message could be received: %s", exc)
        except Exception:
            # An answer of SQS that cannot be read; the jobs under way must not end with it.
            logger.exception("no message could be received")
        else:
            if messages:
                self.scheduler.lead.received(time.monotonic() - start_s)
            return messages
        await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
        return []

    def _process(self, message: QueueMessage) -> None:
        slot = self.scheduler.join()
        job = asyncio.create_task(self.processor.process(message, slot), name="job")
        self._jobs[job] = slot
        self.annotator.busy()
        job.add_done_callback(self._on_end)

    def _on_end(self, job: asyncio.Task[None]) -> None:
        del self._jobs[job]
        if not self._jobs:
            self.annotator.idle()
        if not job.cancelled() and (failure := job.exception()) is not None:
            # The message is still in the queue, and is delivered again when its visibility ends.
            logger.error("a message could not be handled: %s", failure)

    async def _release_when_lost(self) -> None:
        """Whenever the model server is lost, release the jobs that it has or was to get."""
        while True:
            await self.monitor.lost.wait()
            jobs = interruptible(self._jobs)
            reason = self.monitor.health().reason
            logger.error("the model server is lost: %s", reason, extra={"tasks_given_back": len(jobs)})
            if self._receiving is not None:
                self._receiving.cancel()
            for job in jobs:
                job.cancel()
            await self.monitor.usable.wait()
            logger.info("the model server is back")

    async def _drain(self) -> None:
        jobs = dict(self._jobs)
        if not jobs:
            return
        logger.info("stopping; running jobs have %g s left", self.grace_s)
        for job, slot in jobs.items():
            too_long = slot.state is SlotState.RUNNING and (slot.remaining_s or 0) > self.grace_s
            if too_long or not slot.has_started:
                job.cancel()
        await finish(jobs, within_s=self.grace_s)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
