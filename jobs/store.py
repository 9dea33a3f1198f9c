"""The job store: sends commands to the table in DynamoDB, blocking or with asyncio.

Calls raise botocore's errors if DynamoDB fails.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from jobs import queries
from jobs.beacon import KEPT_S, Beacon, beacons_of
from jobs.dynamodb import Answer, JobCommand
from jobs.job import Job

PAGE = 1000
"""Jobs that one call looks at."""


class _Store:
    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self.table = table

    def _call(self, command: JobCommand[Any]) -> Callable[..., Any]:
        return getattr(self._dynamodb, xform_name(command.operation))  # type: ignore[no-any-return]


class JobStore(_Store):
    """Jobs in a table, through a botocore client."""

    def run(self, command: JobCommand[Answer]) -> Answer:
        """Send a command; return what its answer means."""
        try:
            answer = self._call(command)(**command.parameters_for(self.table))
        except ClientError as exc:
            return command.read_refusal(exc)
        return command.read(answer)

    def get(self, job: str) -> Job | None:
        """A job's current state; None if there is no such job."""
        return self.run(queries.get(job))

    def get_many(self, jobs: Sequence[str]) -> dict[str, Job]:
        """The current states of jobs, by id; without those that do not exist. Reads are eventually consistent."""
        found: dict[str, Job] = {}
        wanted = list(dict.fromkeys(jobs))
        while wanted:
            asked, wanted = wanted[: queries.MAX_BATCH], wanted[queries.MAX_BATCH :]
            some = self.run(queries.get_many(asked))
            found |= {job.id: job for job in some.jobs}
            wanted += some.unread  # DynamoDB was busy, or the answer too large
        return found

    def versions(self, jobs: Sequence[str]) -> dict[str, int]:
        """The versions of jobs, by id; without those that do not exist. Reads are eventually consistent."""
        found: dict[str, int] = {}
        for first in range(0, len(jobs), queries.MAX_BATCH):
            some: dict[str, int] = self.run(queries.versions(jobs[first : first + queries.MAX_BATCH]))
            found |= some
        return found

    def tenants_jobs(self, tenant: str, *, start: str | None = None, **wanted: Any) -> Iterator[Mapping[str, Any]]:
        """A tenant's jobs as the index has them, the newest first; arguments as of ``queries.tenants_jobs``."""
        for page in self.tenants_pages(tenant, start=start, limit=PAGE, **wanted):
            yield from page.rows

    def tenants_pages(self, tenant: str, *, start: str | None, **wanted: Any) -> Iterator[queries.TenantPage]:
        """The same page by page, of which some may be empty."""
        while True:
            page = self.run(queries.tenants_jobs(tenant, start=start, **wanted))
            yield page
            if (start := page.last) is None:
                return

    def due(self, shard: str, now_s: float) -> Iterator[str]:
        """One shard's due jobs, the oldest first; pages are fetched as they are needed."""
        start = None
        while True:
            page = self.run(queries.due(shard, now_s, start=start))
            yield from page.jobs
            if (start := page.last_key) is None:
                return

    def beacons(self, runtime: str, now_s: float, *, kept_s: float = KEPT_S) -> list[Beacon]:
        """The beacons of a runtime's agents that are not older than ``kept_s``."""
        page = self.run(beacons_of(runtime, now_s - kept_s))
        found = page.beacons
        while page.last_key is not None:
            page = self.run(beacons_of(runtime, now_s - kept_s, start=page.last_key))
            found += page.beacons
        return found


class AsyncJobStore(_Store):
    """Jobs in a table, through an aiobotocore client."""

    async def run(self, command: JobCommand[Answer]) -> Answer:
        """Send a command; return what its answer means."""
        try:
            answer = await self._call(command)(**command.parameters_for(self.table))
        except ClientError as exc:
            return command.read_refusal(exc)
        return command.read(answer)

    async def beacons(self, runtime: str, now_s: float, *, kept_s: float = KEPT_S) -> list[Beacon]:
        """The beacons of a runtime's agents that are not older than ``kept_s``."""
        page = await self.run(beacons_of(runtime, now_s - kept_s))
        found = page.beacons
        while page.last_key is not None:
            page = await self.run(beacons_of(runtime, now_s - kept_s, start=page.last_key))
            found += page.beacons
        return found
