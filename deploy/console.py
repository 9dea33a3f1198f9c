"""Prints for the operator, and asks questions."""

import sys
from collections.abc import Sequence

from deploy.errors import DeployError

_MINUTE_S = 60


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a note that stops nothing."""
    say(f"  note: {text}")


def ask(question: str) -> bool:
    """Ask an optional question; without a terminal the answer is no."""
    return sys.stdin.isatty() and _agrees(question)


def confirm(question: str, *, assumed: bool) -> None:
    """Ask whether to continue, unless --yes was given.

    Raises:
        DeployError: The answer is no, or there is no terminal to ask on.
    """
    if assumed:
        return
    if not sys.stdin.isatty():
        raise DeployError("There is no terminal to ask on.", "Add --yes to go on without a question.")
    if not _agrees(question):
        raise DeployError("Stopped; nothing was changed.", "Run the same command again to go on.")


def _agrees(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def in_words(seconds: float) -> str:
    """A duration such as ``4.2 s`` or ``12 min 05 s``."""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest:02} s"


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain text whose columns are as wide as their widest cell."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
