"""What the routes ask for: taking a request, stopping a job, closing down."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any
from uuid import uuid4

from runtimes.flux.families import TEXT_TO_IMAGE
from runtimes.flux.server.digest import digest_of
from runtimes.flux.server.dispatcher import LOST, Dispatcher
from runtimes.flux.server.job_book import JobBook
from runtimes.flux.server.jobs import Job, JobError, State
from runtimes.flux.server.orders import asked_of
from runtimes.flux.server.settings import Settings

_MAX_WAITING = 1000
_MAX_WAITING_BYTES = 2 * 1024 * 1024 * 1024
"""Of the images that waiting jobs were given."""
_DECODED_AT_ONCE = 2
"""Requests; each may take a gibibyte for a short while."""
_FETCH_S = 5.0
_ABANDONED_S = 30.0
"""Pictures that nobody fetched for so long are not waited for."""
_STOPPING = "the server is stopping"


class UnavailableError(Exception):
    """No job can be taken now; the message says why."""


class ConflictError(Exception):
    """The id is that of a job that was asked for something else."""

    def __init__(self) -> None:
        super().__init__("a job of this id is here already, and its request is another one")


class Service:
    """The server without its HTTP.

    Attributes:
        settings: What it was told.
        book: Its jobs.
        dispatcher: Its workers.
        stopping: Whether it takes no jobs any more.
    """

    def __init__(self, settings: Settings, book: JobBook, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.book = book
        self.dispatcher = dispatcher
        self.stopping = False
        self._decoding = asyncio.Semaphore(_DECODED_AT_ONCE)

    async def submit(self, content: Mapping[str, Any], task_type: str, job_id: str | None) -> tuple[Job, bool]:
        """Take a request.

        Args:
            content: As it came.
            task_type: One of ``runtimes.flux.families.TASK_TYPES``.
            job_id: Chosen by the caller; None draws one.

        Returns:
            Its job, and whether it is new: the same request may have come under that id before.

        Raises:
            RequestFaults: The request cannot be done.
            UnavailableError: No job can be taken now.
            ConflictError: Another request came under that id before.
        """
        chosen = job_id or str(uuid4())
        if (known := self.book.get(chosen)) is not None:
            _check_same(known, await asyncio.to_thread(digest_of, content, task_type))
            return known, False
        card = self.dispatcher.card
        if (reason := self._closed()) is not None or card is None:
            raise UnavailableError(reason or "the model is being loaded")
        async with nullcontext() if task_type == TEXT_TO_IMAGE else self._decoding:
            asked = await asyncio.to_thread(asked_of, content, task_type, card, chosen)
        # The same id may have come again while the images were decoded.
        if (known := self.book.get(chosen)) is not None:
            _check_same(known, asked.digest)
            return known, False
        if (reason := self._closed()) is not None:
            raise UnavailableError(reason)
        job = Job(chosen, asked)
        self.dispatcher.add(job)
        return job, True

    def cancel(self, job: Job) -> None:
        """Withdraw a job that waits, stop one that runs, forget one that has ended."""
        if job.has_ended:
            self.book.forget(job)
        else:
            self.dispatcher.stop(job, State.CANCELLED, JobError("cancelled", "the job was cancelled"))

    def expire(self, job: Job) -> None:
        """Stop a job that took too long."""
        seconds = self.settings.options.request_seconds
        self.dispatcher.stop(job, State.FAILED, JobError("deadline", f"the job was not done after {seconds:g} s"))

    async def close(self) -> None:
        """Take no more jobs, withdraw those that wait, and let those that run end within the grace.

        Afterwards callers have a few seconds to fetch what was done of late.
        """
        self.stopping = True
        for job in self.book.waiting:
            self.dispatcher.stop(job, State.FAILED, JobError(LOST, _STOPPING))
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.grace_seconds):
                await self.book.until_idle()
        for job in [job for job in self.book if not job.has_ended]:
            self.dispatcher.stop(job, State.FAILED, JobError(LOST, _STOPPING))
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_FETCH_S, self.settings.grace_seconds)):
                await self.book.until_fetched(_ABANDONED_S)

    def _closed(self) -> str | None:
        """Why no job can be taken; None if one can."""
        if self.stopping:
            return _STOPPING
        if (reason := self.dispatcher.given_up) is not None:
            return f"no worker is left: {reason}"
        waiting = self.book.waiting
        held_bytes = sum(job.asked.image_bytes for job in waiting)
        if len(waiting) >= _MAX_WAITING or held_bytes >= _MAX_WAITING_BYTES:
            return "too many jobs are waiting"
        return None


def _check_same(known: Job, digest: bytes) -> None:
    """Refuse a request that comes under the id of another one.

    Raises:
        ConflictError: It is another one.
    """
    if known.asked.digest != digest:
        raise ConflictError
