"""GPUs' timelines as one picture, in SVG that needs nothing else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.agent.timeline import Timeline

_WIDTH = 1200
_MARGIN = 28
_TOP = 84
_LANE = 46
_LANE_STEP = 92
_FOOT = 62
_MIN_NUMBERED = 13.0
_MAX_TICKS = 12
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)

_FONT = "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\""
_PAPER, _INK, _FAINT, _LINE = "#ffffff", "#1c2430", "#67717f", "#c9d0d8"
WASTED, FREE = "#e5484d", "#e9edf1"
"""Colours of idleness: with tasks waiting, and without."""
_BUSY = ("#2f6fb3", "#5b9bd5", "#3d8c84", "#74b9a9", "#5a67b8", "#8f9be0")
"""Colours of tasks in turn: neighbours differ, and none is like that of idleness."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One GPU's row.

    Attributes:
        title: Who fed it.
        timeline: What it did.
    """

    title: str
    timeline: Timeline


def draw(title: str, subtitle: str, lanes: Sequence[Lane], *, idle: str = WASTED, together: bool = False) -> str:
    """Draw lanes one below the other on one axis of time.

    Args:
        title: What was run.
        subtitle: One sentence for those who see only the picture.
        lanes: Top to bottom.
        idle: Colour of idleness.
        together: Whether all ran at the same time; else each lane begins at the left edge.
    """
    origin = min(lane.timeline.start for lane in lanes)
    starts = [origin if together else lane.timeline.start for lane in lanes]
    length_s = max(lane.timeline.end - start for lane, start in zip(lanes, starts, strict=True))
    scale = (_WIDTH - 2 * _MARGIN) / length_s
    bottom = _TOP + _LANE_STEP * len(lanes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + _FOOT}" width="{_WIDTH}" '
        f'height="{bottom + _FOOT}" role="img" {_FONT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{bottom + _FOOT}" fill="{_PAPER}"/>',
        _text(_MARGIN, 34, title, size=20, weight=600),
        _text(_MARGIN, 56, subtitle, size=13, colour=_FAINT),
    ]
    for index, (lane, start) in enumerate(zip(lanes, starts, strict=True)):
        top = _TOP + _LANE_STEP * index
        parts += [*_ticks(length_s, scale, top + 20), *_lane(lane, start, scale, top, idle)]
    return "\n".join([*parts, *_axis(length_s, scale, bottom), *_legend(bottom + 44, idle), "</svg>\n"])


def _lane(lane: Lane, start: float, scale: float, top: float, idle: str) -> list[str]:
    line = lane.timeline
    told = f"busy {line.busy_share:.1%} · {len(line.jobs)} tasks in {line.end - line.start:.1f} s"
    y = top + 24
    left = _MARGIN + (line.start - start) * scale
    wide = (line.end - line.start) * scale
    parts = [
        _text(_MARGIN, top + 15, lane.title, size=14, weight=600),
        _text(_WIDTH - _MARGIN, top + 15, told, size=13, anchor="end"),
        f'<rect x="{left:.2f}" y="{y}" width="{wide:.2f}" height="{_LANE}" fill="{idle}"/>',
    ]
    for job in line.jobs:
        number = job.task.rpartition("-")[2]
        colour = _BUSY[int(number) % len(_BUSY)]
        x, width = _MARGIN + (job.start - start) * scale, job.seconds * scale
        parts.append(
            f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{_LANE}" fill="{colour}">'
            f"<title>{escape(job.task)}: {job.seconds:.2f} s</title></rect>"
        )
        if width >= _MIN_NUMBERED + 3 * max(0, len(number) - 2):
            parts.append(_text(x + width / 2, y + _LANE / 2 + 4, number, size=10, colour=_PAPER, anchor="middle"))
    return parts


def _moments_s(length_s: float) -> list[float]:
    """Round moments at which the axis has a tick."""
    step = next((one for one in _TICKS_S if length_s / one <= _MAX_TICKS), _TICKS_S[-1])
    return [index * step for index in range(math.floor(length_s / step) + 1)]


def _ticks(length_s: float, scale: float, top: float) -> list[str]:
    """Lines that show above and below a lane."""
    places = [_MARGIN + moment * scale for moment in _moments_s(length_s)]
    return [f'<line x1="{x:.2f}" y1="{top}" x2="{x:.2f}" y2="{top + _LANE + 8}" stroke="{_LINE}"/>' for x in places]


def _axis(length_s: float, scale: float, y: float) -> list[str]:
    return [
        _text(_MARGIN + moment * scale, y, f"{moment:g} s" if moment else "0", size=11, colour=_FAINT, anchor="middle")
        for moment in _moments_s(length_s)
    ]


def _legend(y: float, idle: str) -> list[str]:
    parts, x = [], float(_MARGIN)
    for colour in _BUSY[:3]:
        parts.append(f'<rect x="{x}" y="{y - 11}" width="14" height="14" fill="{colour}"/>')
        x += 16
    parts.append(_text(x + 6, y, "busy, one colour and number a task", size=12, colour=_FAINT))
    x += 226
    parts.append(f'<rect x="{x}" y="{y - 11}" width="14" height="14" fill="{idle}"/>')
    told = "idle though tasks wait" if idle == WASTED else "idle"
    parts.append(_text(x + 22, y, told, size=12, colour=_FAINT))
    return parts


def _text(
    x: float, y: float, words: str, *, size: int, colour: str = _INK, weight: int = 400, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )
