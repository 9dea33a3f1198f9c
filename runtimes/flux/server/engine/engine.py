"""The server without HTTP: takes requests, cancels jobs, reports health, shuts down."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any
from uuid import uuid4

from runtimes.flux.families import TEXT_TO_IMAGE
from runtimes.flux.server.engine.generation import digest_of, generation_request
from runtimes.flux.server.engine.jobs import ServerJob, ServerJobError, ServerJobs
from runtimes.flux.server.engine.metrics import ServerMetrics
from runtimes.flux.server.engine.scheduler import LOST, BatchScheduler
from runtimes.flux.server.errors import JobIdConflictError, UnavailableError
from runtimes.flux.server.settings import FluxSettings
from runtimes.flux.server.worker.handle import WorkerHandle

_MAX_WAITING = 1000
_MAX_WAITING_BYTES = 2 * 1024 * 1024 * 1024
"""For the input images of waiting jobs."""
_DECODED_AT_ONCE = 2
"""Each such request can briefly take a gibibyte."""
_FETCH_S = 5.0
_ABANDONED_S = 30.0
"""A shutdown does not wait for pictures that nobody has fetched for this long."""
_STOPPING = "the server is stopping"


class Engine:
    """Jobs and workers, behind the operations that the routes need."""

    def __init__(self, settings: FluxSettings) -> None:
        self.settings = settings
        self.jobs = ServerJobs()
        self.metrics = ServerMetrics(lambda: len(self.jobs.waiting))
        self.scheduler = BatchScheduler(settings, self.jobs, self.metrics)
        self._stopping = False
        self._decoding = asyncio.Semaphore(_DECODED_AT_ONCE)

    async def submit(self, content: Mapping[str, Any], task_type: str, job_id: str | None) -> tuple[ServerJob, bool]:
        """Take a request.

        Args:
            content: The request as posted.
            task_type: One of ``runtimes.flux.families.TASK_TYPES``.
            job_id: The caller's choice; None picks a random one.

        Returns:
            Its job, and whether it is new: the same request may already have come with this id.

        Raises:
            InvalidGenerationError: The request is invalid.
            UnavailableError: The server accepts no jobs now.
            JobIdConflictError: Another request has come with this id.
        """
        chosen = job_id or str(uuid4())
        if self.jobs.get(chosen) is not None:
            digest = await asyncio.to_thread(digest_of, content, task_type)
            if (known := self._same_job(chosen, digest)) is not None:
                return known, False
        self._check_open()
        if (card := self.scheduler.card) is None:
            raise UnavailableError("the model is being loaded")
        async with nullcontext() if task_type == TEXT_TO_IMAGE else self._decoding:
            request = await asyncio.to_thread(generation_request, content, task_type, card, chosen)
        # A second request with this id may have come while the images were decoded.
        if (known := self._same_job(chosen, request.digest)) is not None:
            return known, False
        self._check_open()
        job = ServerJob(request)
        self.scheduler.add(job)
        return job, True

    def _same_job(self, job_id: str, digest: bytes) -> ServerJob | None:
        """Find the job that already has this id; raises JobIdConflictError if its request is different."""
        known = self.jobs.get(job_id)
        if known is not None and known.request.digest != digest:
            raise JobIdConflictError("a job of this id is here already, and its request is another one")
        return known

    def _check_open(self) -> None:
        """Raise UnavailableError if the server accepts no jobs now."""
        if self._stopping:
            raise UnavailableError(_STOPPING)
        if (reason := self.scheduler.given_up) is not None:
            raise UnavailableError(f"no worker is left: {reason}")
        waiting = self.jobs.waiting
        held_bytes = sum(job.request.image_bytes for job in waiting)
        if len(waiting) >= _MAX_WAITING or held_bytes >= _MAX_WAITING_BYTES:
            raise UnavailableError("too many jobs are waiting")

    def cancel(self, job: ServerJob) -> None:
        """Cancel a job that waits or runs; forget one that has ended."""
        if job.has_ended:
            self.jobs.forget(job)
        else:
            self.scheduler.stop(job, ServerJobError("cancelled", "the job was cancelled"))

    async def close(self) -> None:
        """Reject new jobs, cancel waiting ones, and let running ones finish within the grace period.

        Afterwards, callers have a few seconds to fetch the outputs of jobs that have just ended.
        """
        self._stopping = True
        stopped = ServerJobError(LOST, _STOPPING)
        for job in self.jobs.waiting:
            self.scheduler.stop(job, stopped)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.grace_seconds):
                await self.jobs.until(lambda job: job.has_ended)
        for job in list(self.jobs):
            self.scheduler.stop(job, stopped)
        since = time.monotonic() - _ABANDONED_S
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_FETCH_S, self.settings.grace_seconds)):
                await self.jobs.until(lambda job: job.is_fetched or (job.times.ended or 0) < since)

    def health(self) -> dict[str, Any]:
        """Whether the server is live, whether it accepts jobs, and what each worker is doing."""
        workers = self.scheduler.workers
        return {
            "live": self.scheduler.given_up is None,
            "ready": any(worker.is_available for worker in workers) and not self._stopping,
            "workers": [_worker_row(worker) for worker in workers],
            "queue": len(self.jobs.waiting),
            "model": self._model_row(),
        }

    def _model_row(self) -> dict[str, Any]:
        options, card = self.settings.model_options, self.scheduler.card
        row: dict[str, Any] = {"profile": options.profile, "source": options.where, "max_batch": options.max_batch}
        if card is not None:
            row |= {
                "family": card.family,
                "task_types": list(card.row.task_types),
                "steps": card.steps,
                "guidance": card.guidance,
                "size": card.row.size,
                "size_multiple": card.row.size_multiple,
                "max_sequence_length": card.max_sequence_length,
                "loras": [lora.name for lora in card.loras],
                "card": card.model_dump(mode="json", by_alias=True, exclude_none=True),
            }
        return row


def _worker_row(worker: WorkerHandle) -> dict[str, Any]:
    device = worker.device
    memory = device and {
        "device_bytes": device.memory_bytes,
        "peak_bytes": device.peak_bytes,
        "host_peak_bytes": device.host_peak_bytes,
    }
    return {
        "device": device.name if device else str(worker.number),
        "state": worker.state.value,
        "restarts": worker.restarts,
        "given_up": worker.given_up,
        "running": [job.id for batch in worker.undrawn if batch.began is not None for job in batch.open_jobs],
        "memory": memory,
        "reason": worker.loss,
    }
