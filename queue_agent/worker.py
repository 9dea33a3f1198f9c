"""The agent's life: take messages as the GPU needs them, until told to stop."""

import asyncio
import logging
import time
from typing import Any

from queue_agent.errors import PlatformError, ServerError
from queue_agent.line import Line, Place
from queue_agent.pipeline import Pipeline
from queue_agent.ports import Mark, Queue, QueueMessage, Supervised
from queue_agent.server_monitor import ServerMonitor

logger = logging.getLogger(__name__)

_PAUSE_AFTER_FAULT_S = 2
_STORING_S = 10.0
"""What is drawn when the grace ends may still be stored for so long; the chart leaves 25 s after the grace."""


class Worker:
    """Takes messages, each handled beside the others.

    Args:
        queue: Where they come from.
        server: The model server; no message is taken while it is not ready.
        pipeline: What is done with them.
        line: When the next one is wanted.
        watch: Tells when the model server is lost; what it holds is then given back.
        mark: Is told whether there is work.
        stop: Ends the work once set.
        grace_s: How long running jobs may go on after that.

    Attributes:
        ready: Set once the model server has been ready.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        server: Supervised,
        pipeline: Pipeline,
        line: Line,
        watch: ServerMonitor,
        mark: Mark,
        stop: asyncio.Event,
        grace_s: float,
    ) -> None:
        self.ready = asyncio.Event()
        self._queue = queue
        self._server = server
        self._pipeline = pipeline
        self._line = line
        self._watch = watch
        self._mark = mark
        self._stop = stop
        self._grace_s = grace_s
        self._turn: asyncio.Task[list[QueueMessage]] | None = None
        self._jobs: dict[asyncio.Task[None], Place] = {}

    async def run(self) -> None:
        """Work until ``stop`` is set; jobs that can end within the grace are finished, all others given back."""
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        ready = asyncio.create_task(self._take_over(), name="ready")
        await asyncio.wait({ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await _cancel(ready)
            return
        ready.result()
        self._line.open(self._server.capacity)
        self.ready.set()
        # Watched from its first readiness on: a server that is still loading its model is not lost.
        background = {self._watch.start(), asyncio.create_task(self._guard(), name="guard")}
        try:
            while not self._stop.is_set():
                self._turn = turn = asyncio.create_task(self._take(), name="take")
                await asyncio.wait({turn, stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
                if not turn.done():
                    # A message that SQS hands out in this very moment comes again when its visibility ends.
                    await _cancel(turn)
                elif not turn.cancelled():
                    for message in turn.result():
                        self._begin(message)
                for task in background:
                    if task.done():
                        task.result()  # neither ends but with an error, and without it the agent must not go on
            await self._drain()
        finally:
            for task in background:
                task.cancel()

    async def _take_over(self) -> None:
        """Wait for the model server, and rid it of what a former agent beside it has left."""
        while True:
            await self._server.wait_until_ready()
            try:
                await self._server.clear()
            except ServerError as exc:
                logger.warning("what a former agent left could not be cleared: %s", exc)
                await asyncio.sleep(_PAUSE_AFTER_FAULT_S)
            except Exception:
                logger.exception("what a former agent left could not be cleared")
                await asyncio.sleep(_PAUSE_AFTER_FAULT_S)
            else:
                return

    async def _guard(self) -> None:
        """Give back whatever a lost model server holds or was to get."""
        while True:
            await self._watch.lost.wait()
            # What is being given back already would be torn from that.
            jobs = [job for job, place in self._jobs.items() if not place.is_through and not job.cancelling()]
            reason = self._watch.verdict().reason
            logger.error("the model server is lost: %s", reason, extra={"tasks_given_back": len(jobs)})
            if self._turn is not None:
                self._turn.cancel()
            for job in jobs:
                job.cancel()
            await self._watch.usable.wait()
            logger.info("the model server is back")

    async def _take(self) -> list[QueueMessage]:
        try:
            await self._watch.usable.wait()
            most = await self._line.until_next_is_wanted()
            if self._line.is_idle:
                await self._server.wait_until_ready()
            asked_s = time.monotonic()
            messages = await self._queue.receive(most)
        except PlatformError as exc:
            logger.warning("no message could be taken: %s", exc)
            await asyncio.sleep(_PAUSE_AFTER_FAULT_S)
            return []
        except Exception:
            logger.exception("no message could be taken")
            await asyncio.sleep(_PAUSE_AFTER_FAULT_S)
            return []
        if messages:
            self._line.lead.received(time.monotonic() - asked_s)
        return messages

    def _begin(self, message: QueueMessage) -> None:
        place = self._line.join()
        job = asyncio.create_task(self._pipeline.handle(message, place), name="job")
        self._jobs[job] = place
        self._mark.busy()
        job.add_done_callback(self._end)

    def _end(self, job: asyncio.Task[None]) -> None:
        del self._jobs[job]
        if not self._jobs:
            self._mark.idle()
        if not job.cancelled() and (failure := job.exception()) is not None:
            # Whatever it was, the message is still in the queue and comes again when its visibility ends.
            logger.error("a message could not be handled: %s", failure)

    async def _drain(self) -> None:
        jobs = dict(self._jobs)
        if not jobs:
            return
        logger.info("stopping; running jobs have %g s left", self._grace_s)
        for job, place in jobs.items():
            too_long = place.is_running and (place.remaining_s or 0) > self._grace_s
            if too_long or not place.has_started:
                job.cancel()
        await asyncio.wait(jobs, timeout=self._grace_s)
        for job, place in jobs.items():
            # What is being given back already would be torn from that.
            if not place.is_through and not job.cancelling():
                job.cancel()
        await asyncio.wait(jobs, timeout=_STORING_S)
        for job in jobs:
            job.cancel()
        await asyncio.wait(jobs)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
