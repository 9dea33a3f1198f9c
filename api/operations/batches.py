"""Batches: jobs that were submitted together, and their states."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from api.errors import RequestError
from api.http import Caller
from jobs import batches
from jobs.job import JobState
from jobs.store import JobStore

_NAMESPACE = uuid.UUID("8f3b7d52-4b0c-4f0e-9d55-0b0f4a5c1a34")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """A batch: its jobs by position, and the states of those still in the table."""

    jobs: Mapping[int, str]
    states: Mapping[str, JobState]
    created_s: float


class Batches:
    """Batches. A tenant sees its own, an admin sees all.

    Calls raise botocore's errors if AWS does not answer.
    """

    def __init__(self, jobs: JobStore, *, clock: Callable[[], float] = time.time) -> None:
        self._jobs = jobs
        self._clock = clock

    def enter(self, tenant: str, jobs: Mapping[int, str]) -> str:
        """Store a batch of jobs. Returns its id, which is always the same for the same jobs."""
        batch = str(uuid.uuid5(_NAMESPACE, " ".join(jobs.values())))
        self._jobs.run(batches.enter(batch, tenant, jobs, self._clock()))
        return batch

    def get(self, caller: Caller, batch: str) -> BatchState:
        """Get a batch.

        Raises:
            RequestError: It does not exist, or the caller may not see it (404).
        """
        found = self._jobs.run(batches.get(batch))
        if found is None or not (caller.is_admin or found.tenant == caller.tenant):
            raise RequestError(404, "not_found", "There is no such batch, or it is older than 90 days.")
        jobs = self._jobs.get_many(list(found.jobs.values()))
        states = {job.id: job.state for job in jobs.values()}
        return BatchState(jobs=found.jobs, states=states, created_s=found.created_s)
