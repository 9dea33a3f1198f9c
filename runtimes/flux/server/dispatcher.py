"""Brings jobs and workers together: forms batches, follows them, and answers for jobs whose worker is lost."""

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence

from runtimes.flux.options import ModelCard, ModelOptions
from runtimes.flux.server.batching import Candidate, gathered
from runtimes.flux.server.crew import Batch, Worker
from runtimes.flux.server.job_book import JobBook
from runtimes.flux.server.jobs import Job, JobError, State
from runtimes.flux.server.messages import (
    Assignment,
    Began,
    Drawn,
    Freed,
    FromWorker,
    Measured,
    OrderFailed,
    Output,
    Ready,
    Stepped,
    Warned,
)
from runtimes.flux.server.metrics import Metrics
from runtimes.flux.server.supervisor import Limits, Supervisor

_MAX_ATTEMPTS = 2
LOST = "worker_lost"
"""Code of jobs that no worker could end."""
_log = logging.getLogger(__name__)


class Dispatcher:
    """All workers, and which jobs they have.

    Args:
        book: The jobs.
        options: How many pictures make a batch, and how long the first one waits for others.
        metrics: Where it is counted.

    Attributes:
        card: What requests may hold; None until a worker has loaded the model.
    """

    def __init__(self, book: JobBook, options: ModelOptions, metrics: Metrics) -> None:
        self.card: ModelCard | None = None
        self.workers: dict[Supervisor, Worker] = {}
        self._book = book
        self._options = options
        self._metrics = metrics
        self._numbers = itertools.count(1)
        self._wake: asyncio.TimerHandle | None = None

    def employ(self, assignments: Sequence[Assignment], limits: Limits) -> list[Supervisor]:
        """Make the workers' supervisors; they are still to be run."""
        for assignment in assignments:
            supervisor = Supervisor(assignment, limits, self._hear, self._lose)
            self.workers[supervisor] = Worker(supervisor)
        return list(self.workers)

    @property
    def given_up(self) -> str | None:
        """Why no worker will come back; None as long as one will."""
        if all(supervisor.given_up for supervisor in self.workers):
            return next(iter(self.workers)).loss
        return None

    def add(self, job: Job) -> None:
        """Take a new job."""
        self._book.add(job)
        self.dispatch()

    def stop(self, job: Job, state: State, error: JobError) -> None:
        """Have a job end now; the device leaves it at its next step."""
        if job.has_ended:
            return
        self._end(job, state, error)
        for worker in self.workers.values():
            worker.drop(job)
        self.dispatch()

    def dispatch(self) -> None:
        """Give batches to all workers that need one; idle workers come first."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        while any(self._serve(worker) for worker in self._by_work() if worker.takes_another):
            pass

    def _by_work(self) -> list[Worker]:
        """The workers, those with the least work first."""
        return sorted(self.workers.values(), key=lambda worker: len(worker.undrawn))

    def _serve(self, worker: Worker) -> bool:
        """Give a worker the next batch, if there is one and its time has come."""
        waiting = self._book.waiting
        if not waiting:
            return False
        leader = waiting[0].asked.order
        size = leader.width, leader.height
        worker.ask_most_pictures(size)
        most = worker.max_pictures(size)
        if most is None or (waiting[0].attempts and worker.batches):
            return False
        chosen, full = gathered((_candidate(job) for job in waiting), min(most, self._options.max_batch))
        if not full and self._may_wait(worker, waiting[0]):
            return False
        jobs = [waiting[position] for position in chosen]
        self._book.take(jobs)
        worker.start(next(self._numbers), jobs)
        return True

    def _may_wait(self, worker: Worker, leader: Job) -> bool:
        """Whether a batch may still grow."""
        if worker.undrawn:
            return not worker.needs_next
        left_s = leader.times.added + self._options.batch_wait_seconds - time.monotonic()
        if left_s <= 0:
            return False
        if self._wake is None:
            self._wake = asyncio.get_running_loop().call_later(left_s, self.dispatch)
        return True

    def _hear(self, supervisor: Supervisor, message: FromWorker) -> None:
        worker = self.workers[supervisor]
        match message:
            case Ready(card=card):
                self.card = card
                self.dispatch()
            case Measured(width=width, height=height, pictures=pictures):
                worker.learn((width, height), pictures)
                self.dispatch()
            case Began() | Stepped() | Drawn() | Freed() | Output() | OrderFailed() | Warned():
                batch = worker.batches.get(message.batch)
                if batch is not None:
                    self._follow(worker, batch, message)

    def _follow(
        self, worker: Worker, batch: Batch, message: Began | Stepped | Drawn | Freed | Output | OrderFailed | Warned
    ) -> None:
        match message:
            case Began():
                batch.began, worker.encode_s = time.monotonic(), message.encode_s
                for job in batch.open_jobs:
                    job.begin(batch.number, message.encode_s)
            case Stepped():
                batch.share = message.share
                for job in batch.open_jobs:
                    job.step(message.share)
            case Drawn():
                self._metrics.note_batch(message.pictures)
            case Freed():
                self._free(worker, batch, message)
            case Output():
                self._take(batch, message)
            case OrderFailed():
                self._fail(batch, message)
            case Warned():
                batch.jobs[message.job].warnings = message.warnings
        worker.tidy(batch)
        self.dispatch()

    def _free(self, worker: Worker, batch: Batch, message: Freed) -> None:
        batch.freed = True
        if batch.began is not None:
            self._metrics.note_busy(worker.supervisor.number, time.monotonic() - batch.began)
        for job in batch.open_jobs:
            job.free(message.denoise_s, message.decode_s)
            self._end_complete(job)

    def _take(self, batch: Batch, output: Output) -> None:
        job = batch.jobs[output.job]
        if not job.has_ended:
            job.take(output)
            self._end_complete(job)

    def _fail(self, batch: Batch, message: OrderFailed) -> None:
        job = batch.jobs[message.job]
        if not job.has_ended:
            self._end(job, State.FAILED, JobError(message.code, message.message))

    def _end_complete(self, job: Job) -> None:
        if job.is_complete:
            self._end(job, State.SUCCEEDED)

    def _end(self, job: Job, state: State, error: JobError | None = None) -> None:
        job.end(state, error)
        self._book.settle(job)
        self._metrics.note_end(job)
        outcome = error.code if error else state.value
        _log.info("a job ended", extra={"job": job.id, "outcome": outcome, "seconds": job.times.seconds()})

    def _lose(self, supervisor: Supervisor, reason: str) -> None:
        """Have a lost worker's jobs tried once more; those that it drew are tried alone."""
        self._metrics.note_loss(supervisor.number)
        back = []
        for position, batch in enumerate(self.workers[supervisor].clear()):
            for job in batch.open_jobs:
                job.attempts += batch.began is not None or position == 0
                if job.attempts < _MAX_ATTEMPTS:
                    back.append(job)
                else:
                    self._end(job, State.FAILED, JobError(LOST, reason))
        for job in back:
            job.wait()
        self._book.put_back(back)
        if (why := self.given_up) is not None:
            for job in self._book.waiting:
                self._end(job, State.FAILED, JobError(LOST, why))
        self.dispatch()


def _candidate(job: Job) -> Candidate:
    order = job.asked.order
    return Candidate(order.batch_key, len(order.seeds), alone=job.attempts > 0)
