"""Adds up what a tenant's jobs used, from the index of its jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from api.operations.history import History, JobFilter
from contract import strict_json
from contract.ids import job_time_s
from jobs.job import JobState

MAX_JOBS = 20_000
"""Maximum number of jobs in one answer; DynamoDB reads that many in a few seconds."""


@dataclass(slots=True)
class Used:
    """What some jobs used; ``gpu_s`` is the seconds that model servers worked."""

    jobs: int = 0
    states: dict[JobState, int] = field(default_factory=lambda: dict.fromkeys(JobState, 0))
    pictures: int = 0
    gpu_s: float = 0


class UsageSums:
    """Adds up jobs. Calls raise botocore's errors if AWS does not answer."""

    def __init__(self, history: History, *, max_jobs: int = MAX_JOBS) -> None:
        self._history = history
        self._max_jobs = max_jobs

    def of(
        self, tenant: str, since_s: float, until_s: float, *, by_day: bool, start: str | None = None
    ) -> tuple[dict[tuple[date | None, str], Used], str | None]:
        """Return what a tenant's jobs in a period used, by day (in UTC) and runtime, newest first.

        Counting starts after the job ``start``. Also returns the last job counted if others follow, else None.
        """
        rows = self._history.rows(tenant, JobFilter(since_s=since_s, until_s=until_s), start=start)
        found: dict[tuple[date | None, str], Used] = {}
        count, last = 0, None
        for row in islice(rows, self._max_jobs):
            last, count = str(row["pk"]), count + 1
            day = datetime.fromtimestamp(job_time_s(last), UTC).date() if by_day else None
            _add(found.setdefault((day, str(row["runtime"])), Used()), row)
        has_more = count == self._max_jobs and next(rows, None) is not None
        return found, last if has_more else None


def _add(used: Used, row: Mapping[str, Any]) -> None:
    used.jobs += 1
    used.states[JobState(row["state"])] += 1
    used.pictures += len(list(filter(None, row.get("pictures", "").split(","))))
    used.gpu_s += strict_json.loads(row.get("stages_s", "{}")).get("run", 0)
