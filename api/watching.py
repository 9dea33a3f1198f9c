"""Waits for jobs in a shell with an event loop: one loop polls the table for everyone who waits."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from api.operations.submission import AWS_ERRORS
from jobs.dynamodb import error_code
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
                for job in await asyncio.get_running_loop().run_in_executor(self._thread, self._changed):
                    if job.id not in self._watchers:  # all have gone meanwhile
                        continue
                    self._versions[job.id] = job.version
                    for news in self._watchers[job.id]:
                        news.put_nowait(job)
            except AWS_ERRORS as exc:
                logger.warning("the jobs were not read: %s", error_code(exc) or type(exc).__name__)
                every_s = _FAILED_PAUSE_S
            except Exception:  # one job that cannot be read must not end the waiting of all
                logger.exception("the jobs were not read")
                every_s = _FAILED_PAUSE_S
            await asyncio.sleep(max(_MIN_PAUSE_S, began_s + every_s - time.monotonic()))

    def _changed(self) -> list[Job]:
        known = dict(self._versions)
        latest = self._jobs.versions(list(known))
        return list(self._jobs.get_many([job for job, version in latest.items() if version > known[job]]).values())
