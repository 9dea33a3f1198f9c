"""A GPU's timeline: when it was busy, with which task, and what its gaps were spent on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Something that lasted; Unix times in seconds."""

    start: float
    end: float
    task: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


class Timeline:
    """The jobs of one GPU, in the order in which they began.

    Raises:
        ValueError: There is no job.
    """

    def __init__(self, jobs: Iterable[Span]) -> None:
        self.jobs = sorted(jobs)
        if not self.jobs:
            raise ValueError("the GPU ran no job")
        self.start = self.jobs[0].start
        self.end = max(job.end for job in self.jobs)

    @property
    def busy_s(self) -> float:
        """Seconds in which a job ran; where two ran at once they count once."""
        return covered_s(self.jobs, Span(self.start, self.end))

    @property
    def busy_share(self) -> float:
        """Share of the time from the first job's start to the last one's end in which a job ran."""
        return self.busy_s / (self.end - self.start)

    @property
    def gaps(self) -> list[Span]:
        """The times between two jobs, each with the task that ended it."""
        found, end = [], self.start
        for job in self.jobs:
            if job.start > end:
                found.append(Span(end, job.start, job.task))
            end = max(end, job.end)
        return found


def covered_s(spans: Iterable[Span], within: Span) -> float:
    """Seconds of a span that others cover; where several overlap it counts once."""
    total, reached = 0.0, within.start
    for span in sorted(spans):
        start, end = max(span.start, reached), min(span.end, within.end)
        if end > start:
            total += end - start
            reached = end
    return total


def attributed_s(causes: Sequence[tuple[str, Sequence[Span]]], gaps: Sequence[Span]) -> dict[str, float]:
    """Divide the seconds of the gaps among causes.

    Args:
        causes: Each with the times at which it was at work; where several were, the first takes the time.
        gaps: The times to explain.

    Returns:
        Seconds by cause, and under "" what none of them explains.
    """
    shares, known = {}, list[Span]()
    explained = 0.0
    for name, spans in causes:
        known.extend(spans)
        now = sum(covered_s(known, gap) for gap in gaps)
        shares[name] = now - explained
        explained = now
    return {**shares, "": sum(gap.seconds for gap in gaps) - explained}
