"""A GPU's timeline: when it was busy, with which task; and timelines as a picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

_WIDTH, _MARGIN, _TOP, _LANE, _LANE_STEP, _FOOT = 1200, 28, 84, 46, 92, 62
_MIN_NUMBERED = 13.0
_MAX_TICKS = 12
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)
_FONT = "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\""
_INK, _FAINT, _LINE = "#1c2430", "#67717f", "#c9d0d8"
WASTED, FREE = "#e5484d", "#e9edf1"
"""Colours of idleness: with tasks waiting, and without."""
_BUSY = ("#2f6fb3", "#5b9bd5", "#3d8c84", "#74b9a9", "#5a67b8", "#8f9be0")
"""Colours of tasks in turn: neighbours differ, and none is like that of idleness."""


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
        self.gaps: list[Span] = []
        """The times between two jobs, each with the task that ended it."""
        reached = self.start
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


Lane = tuple[str, Timeline]
"""One GPU's row: its title, and what it did."""


def draw(title: str, subtitle: str, lanes: Sequence[Lane], *, idle: str = WASTED, together: bool = False) -> str:
    """Draw lanes one below the other on one axis of time, as SVG.

    Args:
        title: What was run.
        subtitle: One sentence for those who see only the picture.
        lanes: Top to bottom.
        idle: Colour of idleness.
        together: Whether all ran at the same time; else each lane begins at the left edge.
    """
    origin = min(line.start for _, line in lanes)
    starts = [origin if together else line.start for _, line in lanes]
    length_s = max(line.end - start for (_, line), start in zip(lanes, starts, strict=True))
    scale, bottom = (_WIDTH - 2 * _MARGIN) / length_s, _TOP + _LANE_STEP * len(lanes)
    step_s = next((one for one in _TICKS_S if length_s / one <= _MAX_TICKS), _TICKS_S[-1])
    ticks = [(_MARGIN + number * step_s * scale, number * step_s) for number in range(int(length_s / step_s) + 1)]
    height = bottom + _FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" {_FONT}>',
        f"<title>{escape(title)}</title>",
        _rect(0, 0, _WIDTH, height, "#ffffff"),
        _text(_MARGIN, 34, title, size=20),
        _text(_MARGIN, 56, subtitle, size=13, colour=_FAINT),
    ]
    for number, ((name, line), start) in enumerate(zip(lanes, starts, strict=True)):
        y = _TOP + _LANE_STEP * number + 24
        told = f"busy {line.busy_share:.1%} · {len(line.jobs)} tasks in {line.end - line.start:.1f} s"
        parts += [_rect(x, y - 4, 1, _LANE + 8, _LINE) for x, _ in ticks]
        parts += [_text(_MARGIN, y - 9, name, size=14), _text(_WIDTH - _MARGIN, y - 9, told, size=13, anchor="end")]
        parts.append(_rect(_MARGIN + (line.start - start) * scale, y, (line.end - line.start) * scale, _LANE, idle))
        for job in line.jobs:
            parts += _job(job, _MARGIN + (job.start - start) * scale, y, job.seconds * scale)
    parts += [_text(x, bottom, f"{moment:g} s", size=11, colour=_FAINT, anchor="middle") for x, moment in ticks]
    parts += [_rect(_MARGIN + 16 * number, bottom + 33, 14, 14, colour) for number, colour in enumerate(_BUSY[:3])]
    parts += [
        _text(_MARGIN + 54, bottom + 44, "busy, one colour and number a task", size=12, colour=_FAINT),
        _rect(_MARGIN + 274, bottom + 33, 14, 14, idle),
        _text(
            _MARGIN + 296, bottom + 44, "idle though tasks wait" if idle == WASTED else "idle", size=12, colour=_FAINT
        ),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _job(job: Span, x: float, y: float, width: float) -> Iterable[str]:
    number = job.task.rpartition("-")[2]
    yield _rect(x, y, width, _LANE, _BUSY[int(number) % len(_BUSY)], title=f"{job.task}: {job.seconds:.2f} s")
    if width >= _MIN_NUMBERED + 3 * max(0, len(number) - 2):
        yield _text(x + width / 2, y + _LANE / 2 + 4, number, size=10, colour="#ffffff", anchor="middle")


def _rect(x: float, y: float, width: float, height: float, colour: str, *, title: str = "") -> str:
    inner = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{height}" fill="{colour}">{inner}</rect>'


def _text(x: float, y: float, words: str, *, size: int, colour: str = _INK, anchor: str = "start") -> str:
    return f'<text x="{x:.2f}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{escape(words)}</text>'
