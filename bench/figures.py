"""How measurements are summed up and printed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure and the limit it is held against.

    Attributes:
        name: What was measured.
        samples: One value per run.
        unit: Of the values.
        limit: The most the median may be; None where there is no limit.
    """

    name: str
    samples: Sequence[float]
    unit: str
    limit: float | None = None

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.samples)

    def row(self) -> str:
        """One line: median, least and most, and the limit where there is one."""
        spread = f"{min(self.samples):.1f} to {max(self.samples):.1f}"
        verdict = ""
        if self.limit is not None:
            verdict = f"limit {self.limit:g} {self.unit}: {'kept' if self.median <= self.limit else 'NOT KEPT'}"
        return f"{self.name:<44} {self.median:8.1f} {self.unit}  ({spread})  {verdict}".rstrip()


def paired_differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Run by run, how much more ours took: what slows the machine down slows both."""
    return [our - their for our, their in zip(ours, theirs, strict=True)]
