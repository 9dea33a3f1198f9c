"""Summarizes and prints measurements."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure with one value per run; its limit, if any, applies to the median.

    ``at_least`` makes the limit a minimum instead of a maximum; ``digits`` is the number of decimals shown.
    """

    name: str
    samples: Sequence[float]
    unit: str
    limit: float | None = None
    at_least: bool = False
    digits: int = 1

    @property
    def median(self) -> float:
        """The median of all runs."""
        return statistics.median(self.samples)

    @property
    def is_kept(self) -> bool:
        """Whether the median is within the limit; true without a limit."""
        if self.limit is None:
            return True
        return self.median >= self.limit if self.at_least else self.median <= self.limit

    def row(self) -> str:
        """One line: median, minimum, maximum, and the limit if there is one."""
        spread = f"{min(self.samples):.{self.digits}f} to {max(self.samples):.{self.digits}f}"
        verdict = ""
        if self.limit is not None:
            side = "at least" if self.at_least else "limit"
            verdict = f"{side} {self.limit:g} {self.unit}: {'kept' if self.is_kept else 'NOT KEPT'}"
        return f"{self.name:<44} {self.median:8.{self.digits}f} {self.unit}  ({spread})  {verdict}".rstrip()


def print_all(figures: Iterable[Figure]) -> list[Figure]:
    """Print each figure as it comes, and return them all."""
    printed = []
    for figure in figures:
        print(figure.row())
        printed.append(figure)
    return printed


def exit_status(figures: Iterable[Figure], *, short: bool) -> int:
    """1 if a limit is exceeded; always 0 for the short form, which measures too little on too busy a machine."""
    return 0 if short or all(figure.is_kept for figure in figures) else 1


def paired_differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How much longer ours took, run by run, because a slow machine slows down both."""
    return [our - their for our, their in zip(ours, theirs, strict=True)]
