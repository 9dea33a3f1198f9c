"""What an operator sees, and is asked."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console as Terminal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from deploy.errors import DeployError


class Advance(Protocol):
    """Told how far something has come."""

    def __call__(self, done_bytes: int, total_bytes: int | None) -> None:
        """Show it."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print what should be known, but stops nothing."""
    say(f"  note: {text}")


def ask(question: str) -> bool:
    """Ask something that the work goes on without; the answer is no where nobody is there."""
    return sys.stdin.isatty() and _agrees(question)


def confirm(question: str, *, assumed: bool) -> None:
    """Ask whether to go on.

    Args:
        question: What is asked.
        assumed: Whether the answer is yes already (--yes).

    Raises:
        DeployError: The answer is no, or nobody is there to answer.
    """
    if assumed:
        return
    if not sys.stdin.isatty():
        raise DeployError("Nobody is there to be asked.", "Add --yes to go on without a question.")
    if not _agrees(question):
        raise DeployError("Stopped; nothing was changed.", "Run it again when it shall be done.")


def _agrees(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """Show how many bytes are done, with speed and elapsed time."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(TextColumn("  {task.description}"), *columns, console=Terminal(file=sys.stderr)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done_bytes, total_bytes: progress.update(task, completed=done_bytes, total=total_bytes)
