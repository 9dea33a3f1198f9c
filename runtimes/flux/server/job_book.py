"""All jobs of the server: those that wait, in order, those that run, and for a while those that have ended."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Any

from runtimes.flux.server.jobs import Job, State
from runtimes.flux.server.messages import Output

_KEPT_SECONDS = 600
_KEPT_BYTES = 512 * 1024 * 1024


class JobBook:
    """Jobs by id. Ended ones are forgotten after a while, the oldest earlier where they hold too much.

    Args:
        kept_seconds: How long an ended job can be asked for.
        kept_bytes: How much the outputs of ended jobs may hold.
    """

    def __init__(self, kept_seconds: float = _KEPT_SECONDS, kept_bytes: int = _KEPT_BYTES) -> None:
        self._kept_seconds = kept_seconds
        self._kept_bytes = kept_bytes
        self._jobs: dict[str, Job] = {}
        self._waiting: dict[str, Job] = {}
        self._ended: dict[str, asyncio.TimerHandle] = {}
        self._ended_bytes = 0
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def get(self, job_id: str) -> Job | None:
        """The job, unless it is unknown or forgotten."""
        return self._jobs.get(job_id)

    def add(self, job: Job) -> None:
        """Take a new job; it waits."""
        self._jobs[job.id] = job
        self._waiting[job.id] = job

    @property
    def waiting(self) -> list[Job]:
        """Those that no worker has, in the order in which they are served."""
        return list(self._waiting.values())

    def take(self, jobs: Iterable[Job]) -> None:
        """A worker has them."""
        for job in jobs:
            self._waiting.pop(job.id, None)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """They wait again, before those that came after them."""
        waiting = [*jobs, *self._waiting.values()]
        self._waiting = {job.id: job for job in sorted(waiting, key=lambda job: job.times.added)}

    def position(self, job: Job) -> int | None:
        """Its place among those that wait, from 1; 0 if a worker has it but has not begun; None once it runs."""
        if job.state is not State.WAITING:
            return None
        return next((place for place, job_id in enumerate(self._waiting, start=1) if job_id == job.id), 0)

    def row(self, job: Job) -> dict[str, Any]:
        """All that callers may know of a job."""
        return {**job.row(), "position": self.position(job)}

    def settle(self, job: Job) -> None:
        """The job has ended: keep it for a while."""
        self._waiting.pop(job.id, None)
        if self._jobs.get(job.id) is not job or job.id in self._ended:
            return
        loop = asyncio.get_running_loop()
        self._ended[job.id] = loop.call_later(self._kept_seconds, self.forget, job)
        self._ended_bytes += job.size_bytes
        while self._ended_bytes > self._kept_bytes and len(self._ended) > 1:
            self.forget(self._jobs[next(iter(self._ended))])
        self._changed.set()

    def fetch(self, job: Job, number: int) -> Output | None:
        """Give an output to a caller; None if there is none of that number."""
        output = job.fetch(number)
        self._changed.set()
        return output

    def forget(self, job: Job) -> None:
        """Let an ended job go."""
        timer = self._ended.pop(job.id, None)
        if timer is None:
            return
        timer.cancel()
        self._ended_bytes -= job.size_bytes
        del self._jobs[job.id]
        self._changed.set()

    def by_state(self) -> dict[str, list[str]]:
        """Ids of all jobs, by state; those that wait in their order."""
        ids: dict[str, list[str]] = {state.value: [] for state in State}
        for job in self:
            ids[job.state.value].append(job.id)
        return ids

    async def until_idle(self) -> None:
        """Wait until every job has ended."""
        while any(not job.has_ended for job in self):
            await self._next_change()

    async def until_fetched(self, abandoned_s: float) -> None:
        """Wait until all outputs are fetched, or their jobs forgotten.

        Args:
            abandoned_s: Jobs that ended longer ago are not waited for, in seconds.
        """
        since = time.monotonic() - abandoned_s
        while any((job.times.ended or 0) >= since and not job.is_fetched for job in self):
            await self._next_change()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
