"""How measurements are summed up and printed."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure with one value per run; the limit, if there is one, holds for their median.

    ``at_least`` makes the limit the least that is allowed, instead of the most; ``digits`` are shown behind the point.
    """

    name: str
    samples: Sequence[float]
    unit: str
    limit: float | None = None
    at_least: bool = False
    digits: int = 1

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.samples)

    @property
    def is_kept(self) -> bool:
        """Whether the median keeps the limit; what has none keeps it always."""
        if self.limit is None:
            return True
        return self.median >= self.limit if self.at_least else self.median <= self.limit

    def row(self) -> str:
        """One line: median, least and most, and the limit where there is one."""
        spread = f"{min(self.samples):.{self.digits}f} to {max(self.samples):.{self.digits}f}"
        verdict = ""
        if self.limit is not None:
            side = "at least" if self.at_least else "limit"
            verdict = f"{side} {self.limit:g} {self.unit}: {'kept' if self.is_kept else 'NOT KEPT'}"
        return f"{self.name:<44} {self.median:8.{self.digits}f} {self.unit}  ({spread})  {verdict}".rstrip()


def print_all(figures: Iterable[Figure]) -> list[Figure]:
    """Print figures, a line each, as they come, and return them."""
    printed = []
    for figure in figures:
        print(figure.row())
        printed.append(figure)
    return printed


def exit_status(figures: Iterable[Figure], *, short: bool) -> int:
    """1 where a limit is not kept; the short form measures too little, and beside too much else, to say so."""
    return 0 if short or all(figure.is_kept for figure in figures) else 1


def paired_differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Run by run, how much more ours took: what slows the machine down slows both."""
    return [our - their for our, their in zip(ours, theirs, strict=True)]
