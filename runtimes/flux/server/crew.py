"""A worker as the dispatcher sees it: the batches it has, and what is known of its speed and memory."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from runtimes.flux.server.jobs import Job
from runtimes.flux.server.messages import Drop, Measure, Piece, Run
from runtimes.flux.server.supervisor import Supervisor, WorkerState

_MARGIN = 1.5
"""Prompts are sent so much earlier than their encoding takes."""
_MAX_UNDRAWN = 2


@dataclass(slots=True)
class Batch:
    """Jobs that a worker draws together; ``share`` is how much is denoised, from 0 to 1."""

    number: int
    jobs: dict[str, Job]
    began: float | None = None
    freed: bool = False
    share: float = 0.0

    @property
    def open_jobs(self) -> list[Job]:
        """Those that have not ended."""
        return [job for job in self.jobs.values() if not job.has_ended]

    @property
    def is_suspect(self) -> bool:
        """Whether a worker was lost while it drew one of its jobs."""
        return any(job.attempts for job in self.jobs.values())

    def is_nearly_drawn(self, encode_s: float) -> bool:
        """Whether the prompts of the next batch must be encoded now to be ready when this one is drawn."""
        if self.began is None:
            return False
        steps_left = round((1 - self.share) * max(job.asked.order.steps for job in self.jobs.values()))
        if steps_left <= 1:
            return True
        seconds_left = (time.monotonic() - self.began) * (1 - self.share) / self.share if self.share else None
        return seconds_left is not None and seconds_left <= encode_s * _MARGIN


@dataclass(slots=True, eq=False)
class Worker:
    """One worker and its batches, the oldest first."""

    supervisor: Supervisor
    batches: dict[int, Batch] = field(default_factory=dict)
    encode_s: float = 0.0
    _asked: set[tuple[int, int]] = field(default_factory=set)
    _most: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def undrawn(self) -> list[Batch]:
        """Batches that the device is not done with: at most one that is drawn, and one that waits for it."""
        return [batch for batch in self.batches.values() if not batch.freed]

    @property
    def is_there(self) -> bool:
        """Whether it takes work."""
        return self.supervisor.state in {WorkerState.READY, WorkerState.BUSY}

    @property
    def takes_another(self) -> bool:
        """Whether it takes one more batch; beside a suspect one it takes none, so that the guilty one is found."""
        alone = any(batch.is_suspect for batch in self.batches.values())
        return self.is_there and len(self.undrawn) < _MAX_UNDRAWN and not alone

    @property
    def needs_next(self) -> bool:
        """Whether its device would wait if it got its next batch any later."""
        undrawn = self.undrawn
        return not undrawn or undrawn[0].is_nearly_drawn(self.encode_s)

    def ask_most_pictures(self, size: tuple[int, int]) -> None:
        """Have it say how many pictures of a size fit at once, unless it was asked before."""
        if size not in self._asked:
            self._asked.add(size)
            self.supervisor.send(Measure(*size))

    def max_pictures(self, size: tuple[int, int]) -> int | None:
        """How many pictures of a size fit at once; None as long as it has not said."""
        return self._most.get(size)

    def learn(self, size: tuple[int, int], pictures: int) -> None:
        """Remember how many pictures of a size fit."""
        self._most[size] = pictures

    def start(self, number: int, jobs: Iterable[Job]) -> None:
        """Give it a batch."""
        batch = Batch(number, {job.id: job for job in jobs})
        self.batches[number] = batch
        pieces = tuple(Piece(job.asked.order, job.asked.finishing) for job in batch.jobs.values())
        self.supervisor.send(Run(number, pieces))
        self.supervisor.expect(work=True)

    def drop(self, job: Job) -> None:
        """Have it stop a job; the batch goes on for its other jobs."""
        for batch in self.batches.values():
            if job.id in batch.jobs:
                self.supervisor.send(Drop(batch.number, job.id))
                self.tidy(batch)
                return

    def tidy(self, batch: Batch) -> None:
        """Forget a batch that is drawn and all of whose jobs have ended."""
        if batch.freed and not batch.open_jobs:
            self.batches.pop(batch.number, None)
            self.supervisor.expect(work=bool(self.batches))

    def clear(self) -> list[Batch]:
        """It was lost: its batches, the oldest first."""
        batches = list(self.batches.values())
        self.batches.clear()
        self._asked.clear()
        self._most.clear()
        return batches
