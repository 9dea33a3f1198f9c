"""A bar that counts jobs, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sd_on_eks.models import Job


@contextmanager
def counting(total: int, *, is_shown: bool) -> Iterator[Callable[[Job], Job]]:
    """Yield a function that counts a job that has ended, and returns it.

    The bar is shown only if ``is_shown`` is True and stderr is a terminal.
    """
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    failed, is_off = 0, not (is_shown and console.is_terminal)
    with Progress(*columns, TextColumn("{task.fields[failed]}"), console=console, disable=is_off) as bar:
        task = bar.add_task("Jobs", total=total, failed="")

        def count(job: Job) -> Job:
            nonlocal failed
            failed += not job.succeeded
            bar.update(task, advance=1, failed=f"{failed} failed" if failed else "")
            return job

        yield count
