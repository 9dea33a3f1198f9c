"""A GPU's timeline: when it was busy, and with which task."""

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
        """Its duration."""
        return self.end - self.start


class Timeline:
    """The jobs of one GPU in order of their start, and the gaps between them.

    Raises:
        ValueError: There are no jobs.
    """

    def __init__(self, jobs: Iterable[Span]) -> None:
        self.jobs = sorted(jobs)
        if not self.jobs:
            raise ValueError("the GPU ran no job")
        self.start = reached = self.jobs[0].start
        self.end = max(job.end for job in self.jobs)
        self.gaps: list[Span] = []
        """Times without a job, each with the task that ended it."""
        for job in self.jobs:
            if job.start > reached:
                self.gaps.append(Span(reached, job.start, job.task))
            reached = max(reached, job.end)

    @property
    def busy_share(self) -> float:
        """Share of time with a job, from the start of the first job to the end of the last."""
        return 1 - sum(gap.seconds for gap in self.gaps) / (self.end - self.start)

    def describe_gaps(self) -> str:
        """One line about the lengths of the gaps."""
        if not self.gaps:
            return "no gaps"
        longest = max(self.gaps, key=lambda gap: gap.seconds)
        middle_ms = median(gap.seconds for gap in self.gaps) * 1000
        return f"gaps: median {middle_ms:.1f} ms, longest {longest.seconds * 1000:.1f} ms (before {longest.task})"
