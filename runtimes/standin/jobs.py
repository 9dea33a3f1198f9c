"""The list of what the stand-in ran, so that a test can count generations and busy time."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Job:
    """One run: its id, what it was, when it ran (Unix time in seconds) and how it ended."""

    id: str
    kind: str
    start: float = field(default_factory=time.time)
    end: float | None = None
    outcome: str = "running"

    def close(self, outcome: str) -> None:
        """Note the end; a job that was closed keeps its first outcome."""
        if self.end is None:
            self.end = time.time()
            self.outcome = outcome


class JobLog:
    """Every job since the start, in the order in which they began."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def open(self, job_id: str, kind: str) -> Job:
        """Note that a job begins now."""
        job = Job(id=job_id, kind=kind)
        self.jobs.append(job)
        return job

    def as_json(self) -> dict[str, Any]:
        """Return the jobs and the seconds in which one ran."""
        now = time.time()
        busy_s = sum((job.end or now) - job.start for job in self.jobs)
        return {"jobs": [asdict(job) for job in self.jobs], "busy_s": busy_s}
