"""Assigns jobs to workers: forms batches, follows them, and retries or fails the jobs of a lost worker."""

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence

from runtimes.flux.options import ModelCard
from runtimes.flux.server.engine.jobs import ServerJob, ServerJobError, ServerJobs
from runtimes.flux.server.engine.metrics import ServerMetrics
from runtimes.flux.server.settings import FluxSettings
from runtimes.flux.server.worker import protocol
from runtimes.flux.server.worker.handle import AssignedBatch, WorkerHandle

_MAX_ATTEMPTS = 2
LOST = "worker_lost"
"""Error code of jobs that no worker could finish."""
_log = logging.getLogger(__name__)


def choose_batch(waiting: Sequence[ServerJob], max_pictures: int) -> tuple[list[ServerJob], bool]:
    """Choose the next batch: the first waiting job, and the jobs with the same batch key that fit, in order.

    No job overtakes another with its key. A job with more than ``max_pictures`` is a batch by itself, and so is a job
    that was being drawn when a worker was lost.

    Returns:
        The jobs, and whether the batch is full, so that there is no point in waiting for more.
    """
    leader = waiting[0]
    chosen, pictures = [leader], len(leader.request.seeds)
    if leader.attempts:
        return chosen, True
    for job in waiting[1:]:
        if job.request.batch_key != leader.request.batch_key or job.attempts:
            continue
        if pictures + len(job.request.seeds) > max_pictures:
            return chosen, True
        chosen.append(job)
        pictures += len(job.request.seeds)
    return chosen, pictures >= max_pictures


class BatchScheduler:
    """All workers, with their jobs.

    Attributes:
        card: What requests may contain; None until a worker has loaded the model.
        workers: One per GPU; the caller runs them.
    """

    def __init__(self, settings: FluxSettings, jobs: ServerJobs, metrics: ServerMetrics) -> None:
        self.card: ModelCard | None = None
        self.workers = [WorkerHandle(settings, number, self._hear, self._lose) for number in range(settings.workers)]
        self._options = settings.model_options
        self._jobs = jobs
        self._metrics = metrics
        self._numbers = itertools.count(1)
        self._wake: asyncio.TimerHandle | None = None

    @property
    def given_up(self) -> str | None:
        """Why no worker will start again; None while any still can."""
        return self.workers[0].loss if all(worker.given_up for worker in self.workers) else None

    def add(self, job: ServerJob) -> None:
        """Queue a new job."""
        self._jobs.add(job)
        self.dispatch()

    def stop(self, job: ServerJob, error: ServerJobError) -> None:
        """End a job with an error, unless it has ended; the device stops after its current step."""
        if job.has_ended:
            return
        self._end(job, error)
        for worker in self.workers:
            worker.drop(job)
        self.dispatch()

    def dispatch(self) -> None:
        """Assign batches to all workers that need one, the least busy first."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        while any(
            self._serve(worker)
            for worker in sorted(self.workers, key=lambda worker: len(worker.undrawn))
            if worker.takes_another
        ):
            pass

    def _serve(self, worker: WorkerHandle) -> bool:
        """Assign the next batch to a worker, if there is one and it need not wait; return whether one was assigned."""
        waiting = self._jobs.waiting
        if not waiting or (waiting[0].attempts and worker.batches):
            return False
        max_pictures = min(worker.max_pictures(waiting[0].request.size), self._options.max_batch)
        chosen, is_full = choose_batch(waiting, max_pictures)
        if not is_full and self._may_grow(worker, waiting[0]):
            return False
        self._jobs.take(chosen)
        worker.assign(next(self._numbers), chosen)
        return True

    def _may_grow(self, worker: WorkerHandle, leader: ServerJob) -> bool:
        """Whether a batch can wait for more jobs; if only time can end the wait, set a timer."""
        if worker.undrawn:
            return not worker.needs_next
        left_s = leader.times.added + self._options.batch_wait_seconds - time.monotonic()
        if left_s <= 0:
            return False
        if self._wake is None:
            self._wake = asyncio.get_running_loop().call_later(left_s, self.dispatch)
        return True

    def _hear(self, worker: WorkerHandle, message: protocol.WorkerReady | protocol.BatchReport) -> None:
        if isinstance(message, protocol.WorkerReady):
            self.card = message.card
        elif (batch := worker.batches.get(message.batch)) is not None:
            self._follow(worker, batch, message)
            worker.tidy(batch)
        self.dispatch()

    def _follow(self, worker: WorkerHandle, batch: AssignedBatch, message: protocol.BatchReport) -> None:
        match message:
            case protocol.BatchStarted(encode_s=encode_s):
                batch.began, worker.encode_s = time.monotonic(), encode_s
                for job in batch.open_jobs:
                    job.begin(batch.number, encode_s, message.warnings.get(job.id, ()))
            case protocol.BatchProgress():
                batch.share = message.share
                for job in batch.open_jobs:
                    job.advance(message)
            case protocol.DeviceFreed():
                batch.freed, now = True, time.monotonic()
                self._metrics.note_batch(worker.number, now - (batch.began or now), message.drawn)
                for job in batch.open_jobs:
                    job.free(message)
                    self._end_complete(job)
            case protocol.JobOutput(job_id=job_id) if not batch.jobs[job_id].has_ended:
                batch.jobs[job_id].take(message)
                self._end_complete(batch.jobs[job_id])
            case protocol.JobFailed(job_id=job_id) if not batch.jobs[job_id].has_ended:
                self._end(batch.jobs[job_id], ServerJobError(message.code, message.message))

    def _end_complete(self, job: ServerJob) -> None:
        if job.is_complete:
            self._end(job)

    def _end(self, job: ServerJob, error: ServerJobError | None = None) -> None:
        job.end(error)
        self._jobs.settle(job)
        self._metrics.note_end(job)
        _log.info("a job ended", extra={"job": job.id, "outcome": job.outcome, "seconds": job.times.seconds()})

    def _lose(self, worker: WorkerHandle, batches: list[AssignedBatch]) -> None:
        """Queue a lost worker's jobs once more; those that it was drawing are tried alone."""
        self._metrics.note_loss(worker.number)
        back = []
        for position, batch in enumerate(batches):
            for job in batch.open_jobs:
                job.attempts += batch.began is not None or position == 0
                if job.attempts < _MAX_ATTEMPTS:
                    job.wait_again()
                    back.append(job)
                else:
                    self._end(job, ServerJobError(LOST, worker.loss or ""))
        self._jobs.put_back(back)
        if (reason := self.given_up) is not None:
            for job in self._jobs.waiting:
                self._end(job, ServerJobError(LOST, reason))
        self.dispatch()
