"""The output of ``sd``: tables and bars on a terminal, plain lines elsewhere, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from sd_on_eks.events import Event
from sd_on_eks.models import Job, LogLine, Output, Progress, QueuePlace, Runtime, StateChange

_COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}
_MINUTE_S = 60
_WHOLE_COLUMNS = 2


class Screen:
    """Writes results to stdout, and everything else to stderr.

    Attributes:
        as_json: Whether to write results as JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, markup=False)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def say(self, text: str) -> None:
        """Write a line of a result unchanged and without delay."""
        self._out.file.write(f"{text}\n")
        self._out.file.flush()

    def note(self, text: str) -> None:
        """Write a message that is not a result."""
        self._err.print(text)

    def complain(self, text: str) -> None:
        """Write an error."""
        self._err.print(text, style="red")

    def data(self, value: BaseModel | Mapping[str, Any]) -> None:
        """Write a result as a line of JSON."""
        self.say(json.dumps(value, default=lambda model: model.model_dump(mode="json"), ensure_ascii=False))

    def jobs(self, jobs: Iterable[Job]) -> None:
        """Write jobs as a table."""
        if self.as_json:
            for job in jobs:
                self.data(job)
        else:
            self.table(("JOB", "STATE", "RUNTIME", "TYPE", "TASK", "AGE", "SECONDS"), map(_row, jobs))

    def runtimes(self, runtimes: Iterable[Runtime]) -> None:
        """Write runtimes as a table."""
        if self.as_json:
            for runtime in runtimes:
                self.data(runtime)
            return
        rows = (
            (
                *(one.name, one.type, ", ".join(one.task_types)),
                *(">1000" if one.queued is None else str(one.queued), str(one.running), str(one.ready_servers)),
                *("" if seconds is None else f"{seconds:.1f}" for seconds in (one.seconds_a_job, one.eta_s)),
            )
            for one in runtimes
        )
        self.table(("RUNTIME", "TYPE", "TASK TYPES", "QUEUED", "RUNNING", "SERVERS", "S/JOB", "STARTS IN"), rows)

    def table(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write a table; separate columns with tabs if stdout is not a terminal."""
        if self._out.is_terminal:
            self._out.print(_table(names, rows))
        else:
            for row in rows:
                self.say("\t".join(row))

    def job(self, job: Job) -> None:
        """Write a job's details."""
        if self.as_json:
            self.data(job)
            return
        self._out.print(f"{job.job}  {job.state}", style=_COLOURS.get(job.state))
        for name, value in _facts(job):
            self.say(f"  {name:<9} {value}")

    @contextmanager
    def live(self) -> Iterator[Live | None]:
        """Yield a display for a table that changes; None if stdout is not a terminal."""
        if self.as_json or not self._out.is_terminal:
            yield None
        else:
            with Live(console=self._out, refresh_per_second=4) as live:
                yield live

    @contextmanager
    def following(self) -> Iterator[Follower]:
        """Yield a follower of a job's events: a bar on a terminal, lines elsewhere."""
        columns = (
            TextColumn("{task.fields[state]:<9}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[now]}", markup=False),
        )
        with Bars(*columns, TimeElapsedColumn(), console=self._err, disable=not self._err.is_terminal) as bars:
            task = bars.add_task("job", total=1.0, state="", now="")
            yield Follower(bars, task, self)


class Follower:
    """Shows the events of a job."""

    def __init__(self, bars: Bars, task: TaskID, screen: Screen) -> None:
        self._bars = bars
        self._task = task
        self._screen = screen
        self._last = ""

    def show(self, event: Event) -> None:
        """Show an event."""
        match event.data:
            case StateChange(state=state):
                self._bars.update(self._task, state=state, now="")
                self._line(state)
            case QueuePlace() as place:
                self._bars.update(self._task, now=place_text(place))
                self._line(place_text(place))
            case Progress() as progress:
                self._bars.update(self._task, completed=progress.fraction or 0.0, now=progress_text(progress))
                self._line(progress.stage or "")
            case LogLine(message=message):
                self._screen.note(message)
            case Job() as job:
                self._bars.update(self._task, state=job.state, now="", completed=float(job.succeeded))
            case _:
                pass

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        self._bars.console.print(text)

    def _line(self, text: str) -> None:
        if self._bars.disable and text and text != self._last:
            self._screen.note(text)
            self._last = text


def open_jobs(jobs: Iterable[Job]) -> Table:
    """Build a table of open jobs and their progress."""
    rows = ((*_row(job)[:5], progress_text(job.progress)) for job in jobs)
    return _table(("JOB", "STATE", "RUNTIME", "TYPE", "TASK", "PROGRESS"), rows)


def place_text(place: QueuePlace) -> str:
    """Describe a job's place in the queue."""
    before = "more than 1000 jobs" if place.position is None else f"{place.position} job{'s' * (place.position != 1)}"
    starts = "no server is ready" if place.eta_s is None else f"starts in about {_seconds(place.eta_s)}"
    return f"{before} ahead of it; {starts}"


def progress_text(progress: Progress | None) -> str:
    """Describe a job's progress; empty if it is unknown."""
    if progress is None:
        return ""
    steps = None if progress.step is None else f"step {progress.step}/{progress.steps or '?'}"
    part = f"{progress.fraction:.0%}" if steps is None and progress.fraction is not None else steps
    return " ".join(filter(None, (progress.stage, part)))


def age_text(job: Job) -> str:
    """Return the time since a job was submitted."""
    return _seconds((datetime.now(timezone.utc) - job.created_at).total_seconds())


def output_text(output: Output) -> str:
    """Describe an output in one line."""
    size = f"{output.width}x{output.height}" if output.width else ""
    seed = "" if output.seed is None else f"seed {output.seed}"
    return "  ".join(filter(None, (output.s3, size, seed)))


def _facts(job: Job) -> Iterator[tuple[str, str]]:
    yield "task", f"{job.task_id}: {job.type} by {job.runtime}"
    yield "submitted", f"{age_text(job)} ago"
    if job.queue:
        yield "queue", place_text(job.queue)
    if job.progress:
        yield "progress", progress_text(job.progress)
    timings = {name: value for name, value in job.timings.model_dump().items() if value is not None}
    if timings:
        yield "seconds", ", ".join(f"{name.removesuffix('_s')} {value:.1f}" for name, value in timings.items())
    for output in job.outputs:
        yield "output", output_text(output)
    for warning in job.warnings:
        yield "warning", f"{warning.pointer} {warning.detail}"
    if job.error:
        yield "error", f"{job.error.code}: {job.error.message}"


def _row(job: Job) -> Sequence[str]:
    seconds = None if job.started_at is None or job.ended_at is None else job.ended_at - job.started_at
    took = "" if seconds is None else f"{seconds.total_seconds():.1f}"
    task = "" if job.task_id == job.job else job.task_id
    return job.job, job.state, job.runtime, job.type, task, age_text(job), took


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    listed = [*rows]
    for number, name in enumerate(names):
        # Never cut the first two columns: users copy job ids.
        width = max((len(row[number]) for row in listed), default=0) if number < _WHOLE_COLUMNS else None
        table.add_column(name, no_wrap=width is not None, min_width=width)
    for row in listed:
        table.add_row(*row)
    return table


def _seconds(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _MINUTE_S**2:
        return f"{seconds / _MINUTE_S:.0f} min"
    hours = seconds / _MINUTE_S**2
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"  # noqa: PLR2004
