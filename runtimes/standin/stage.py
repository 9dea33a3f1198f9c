"""What both servers stand on: the models they claim to have, their painter, their faults, and the jobs they ran."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from runtimes.standin.faults import FaultBoard, Faults
from runtimes.standin.painter import Painter

DEFAULT_MODELS = ("v1-5-pruned-emaonly.safetensors",)


@dataclass(kw_only=True)
class RanJob:
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


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The surroundings of one server; `jobs` are in the order in which they began."""

    models: tuple[str, ...] = DEFAULT_MODELS
    painter: Painter = field(default_factory=Painter)
    faults: FaultBoard = field(default_factory=lambda: FaultBoard(Faults()))
    jobs: list[RanJob] = field(default_factory=list)

    def open_job(self, job_id: str, kind: str) -> RanJob:
        """Note that a job begins now."""
        self.jobs.append(RanJob(id=job_id, kind=kind))
        return self.jobs[-1]

    def jobs_json(self) -> dict[str, Any]:
        """Return the jobs and the seconds in which one ran."""
        now = time.time()
        busy_s = sum((job.end or now) - job.start for job in self.jobs)
        return {"jobs": [asdict(job) for job in self.jobs], "busy_s": busy_s}
