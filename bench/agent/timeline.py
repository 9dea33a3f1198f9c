"""A GPU's timeline: when it was busy, with which task."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A job; its start and end are Unix times in seconds."""

    start: float
    end: float
    task: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


class Timeline:
    """The jobs of one GPU, in the order in which they began, and the gaps between them.

    Raises:
        ValueError: There is no job.
    """

    def __init__(self, jobs: Iterable[Span]) -> None:
        self.jobs = sorted(jobs)
        if not self.jobs:
            raise ValueError("the GPU ran no job")
        self.start = reached = self.jobs[0].start
        self.end = max(job.end for job in self.jobs)
        self.gaps: list[Span] = []
        """The times between two jobs, each with the task that ended it."""
        for job in self.jobs:
            if job.start > reached:
                self.gaps.append(Span(reached, job.start, job.task))
            reached = max(reached, job.end)

    @property
    def busy_share(self) -> float:
        """Share of the time from the first job's start to the last one's end in which a job ran."""
        return 1 - sum(gap.seconds for gap in self.gaps) / (self.end - self.start)

    def describe_gaps(self) -> str:
        """The gaps' lengths in a line."""
        if not self.gaps:
            return "no gaps"
        longest = max(self.gaps, key=lambda gap: gap.seconds)
        middle_ms = median(gap.seconds for gap in self.gaps) * 1000
        return f"gaps: median {middle_ms:.1f} ms, longest {longest.seconds * 1000:.1f} ms (before {longest.task})"
