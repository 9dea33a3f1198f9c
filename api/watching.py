"""Waits for jobs in a shell with an event loop: one loop polls the table for everyone who waits."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.job import Job
from jobs.store import JobStore

_EVERY_S = 0.25
_MIN_PAUSE_S = 0.1
_FAILED_PAUSE_S = 2.0

logger = logging.getLogger(__name__)


class Watcher:
    """Polls the versions of all watched jobs at once, and reads the jobs that have changed.

    Polls nothing while nobody waits.
    """

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._versions: dict[str, int] = {}
        self._watchers: defaultdict[str, set[asyncio.Queue[Job]]] = defaultdict(set)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watcher")
        self._loop: asyncio.Task[None] | None = None

    async def changes(self, job: Job) -> AsyncGenerator[Job]:
        """The states of a job that follow the one the caller knows."""
        news: asyncio.Queue[Job] = asyncio.Queue()
        self._watchers[job.id].add(news)
        self._versions[job.id] = min(job.version, self._versions.get(job.id, job.version))
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._ask(), name="watcher")
        try:
            version = job.version
            while True:
                latest = await news.get()
                if latest.version > version:
                    version = latest.version
                    yield latest
        finally:
            self._watchers[job.id].discard(news)
            if not self._watchers[job.id]:
                del self._watchers[job.id], self._versions[job.id]

    async def _ask(self) -> None:
        while self._watchers:
            began_s, every_s = time.monotonic(), _EVERY_S
            try:
                changed = await asyncio.get_running_loop().run_in_executor(self._thread, self._changed)
                for job_id, version, job in changed:
                    if job_id not in self._watchers:  # all have gone meanwhile
                        continue
                    if job is None:  # it is read again once it has changed
                        self._versions[job_id] = version
                        continue
                    self._versions[job_id] = job.version  # two reads may see different copies of the table
                    for news in self._watchers[job_id]:
                        news.put_nowait(job)
            except AWS_ERRORS as exc:
                logger.warning("the jobs were not read: %s", error_name(exc))
                every_s = _FAILED_PAUSE_S
            except Exception:  # those who wait go on waiting, as after a failure of AWS
                logger.exception("the jobs were not read")
                every_s = _FAILED_PAUSE_S
            await asyncio.sleep(max(_MIN_PAUSE_S, began_s + every_s - time.monotonic()))

    def _changed(self) -> list[tuple[str, int, Job | None]]:
        """Each job that has changed, its version, and its state; None for one that cannot be read."""
        known = dict(self._versions)
        latest = self._jobs.versions(list(known))
        changed = {job: version for job, version in latest.items() if version > known[job]}
        try:
            read = self._jobs.get_many(list(changed))
        except ValueError:
            read = {job: one for job in changed if (one := self._readable(job)) is not None}
        return [(job, version, read.get(job)) for job, version in changed.items()]

    def _readable(self, job: str) -> Job | None:
        """A job's state; None if it cannot be read."""
        try:
            return self._jobs.get_many([job]).get(job)
        except ValueError:
            logger.exception("job %s cannot be read", job)
            return None
