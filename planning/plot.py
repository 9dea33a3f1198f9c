"""Lines over time: as an SVG file, and as a row of blocks for a terminal."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HOUR_S, _DAY_S = 3600, 86400
_WIDTH, _LEFT, _RIGHT, _TOP, _STRIP, _GAP, _FOOT = 960, 56, 16, 34, 110, 34, 30
_MAX_TITLE_CHARS = 100
_COLUMNS = 440
"""How many values of a line are drawn; of those in between, the highest."""
_TICKS_S = (10, 30, 60, 300, 600, 1800, _HOUR_S, 3 * _HOUR_S, 6 * _HOUR_S, _DAY_S)
_MAX_TICKS = 9
_STYLE = """
  svg { font: 13px system-ui, sans-serif; fill: #1f2328; background: #fff; }
  .title { font-weight: 600; font-size: 15px; } .axis { fill: #59636e; font-size: 11px; }
  .grid { stroke: #d1d9e0; } .a { fill: #0969da33; stroke: #0969da; } .b { fill: none; stroke: #bc4c00; }
  .key-a { fill: #0969da; } .key-b { fill: #bc4c00; } path { stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    svg { fill: #f0f6fc; background: #0d1117; } .axis { fill: #9198a1; } .grid { stroke: #3d444d; }
    .a { fill: #4493f833; stroke: #4493f8; } .b { stroke: #f0883e; } .key-a { fill: #4493f8; } .key-b { fill: #f0883e; }
  }
"""


@dataclass(frozen=True, slots=True)
class Strip:
    """One or two lines with a common height, by their names; each value is that of the same place in the times."""

    lines: tuple[tuple[str, Sequence[float]], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Strips below each other, over the same times.

    Attributes:
        title: Stands above them.
        times: In seconds from 0, in order.
        strips: What is drawn.
    """

    title: str
    times: Sequence[float]
    strips: tuple[Strip, ...]


def blocks(times: Sequence[float], values: Sequence[float], width: int = 60) -> str:
    """A line as a row of blocks; what is above 0 shows at least as the lowest one."""
    highest = max(values, default=0)
    row = _columns(times, values, width)
    return "".join(_BLOCKS[max(round(one / highest * 8), int(one > 0)) if highest else 0] for one in row)


def svg(plots: Sequence[Plot]) -> str:
    """All plots, one below the other."""
    parts: list[str] = []
    top = 0.0
    for plot in plots:
        parts.extend(_plot(plot, top))
        top += _TOP + len(plot.strips) * (_STRIP + _GAP) + _FOOT
    size = f'width="{_WIDTH}" height="{top:.0f}" viewBox="0 0 {_WIDTH} {top:.0f}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{_STYLE}</style>\n{body}\n</svg>\n'


def _plot(plot: Plot, top: float) -> Iterator[str]:
    cut = len(plot.title) > _MAX_TITLE_CHARS
    title = f"{plot.title[: _MAX_TITLE_CHARS - 1]}…" if cut else plot.title
    yield f'<text class="title" x="{_LEFT}" y="{top + 22:.0f}">{escape(title)}</text>'
    y = top + _TOP
    ticks = [*_ticks(plot.times[-1])]
    for strip in plot.strips:
        y += _GAP
        highest = max((value for _, values in strip.lines for value in values), default=0) or 1
        for at_s, _ in ticks:
            x = _x(at_s, plot.times[-1])
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.0f}" y2="{y + _STRIP:.0f}"/>'
        x = float(_LEFT)
        for style, (name, values) in zip("ab", strip.lines, strict=False):
            yield f'<path class="{style}" d="{_path(plot.times, values, highest, y)}"/>'
            yield f'<rect class="key-{style}" x="{x:.0f}" y="{y - 15:.0f}" width="10" height="10"/>'
            yield f'<text x="{x + 15:.0f}" y="{y - 6:.0f}">{escape(name)}</text>'
            x += 30 + 7.5 * len(name)
        for value, at in ((highest, y + 9), (0, y + _STRIP)):
            yield f'<text class="axis" x="{_LEFT - 6}" y="{at:.0f}" text-anchor="end">{value:,g}</text>'
        y += _STRIP
    for at_s, words in ticks:
        x = _x(at_s, plot.times[-1])
        yield f'<text class="axis" x="{x:.1f}" y="{y + 16:.0f}" text-anchor="middle">{words}</text>'


def _path(times: Sequence[float], values: Sequence[float], highest: float, y: float) -> str:
    """A line in steps, from its foot and back to it."""
    row = _columns(times, values, _COLUMNS)
    step, foot = (_WIDTH - _LEFT - _RIGHT) / len(row), y + _STRIP
    corners = [f"M{_LEFT} {foot:.0f}"]
    for number, value in enumerate(row):
        at = foot - value / highest * _STRIP
        corners.append(f"V{at:.1f}H{_LEFT + (number + 1) * step:.1f}")
    return "".join([*corners, f"V{foot:.0f}"])


def _columns(times: Sequence[float], values: Sequence[float], count: int) -> list[float]:
    """The highest value of each of so many equal parts of the time; where one has none, the last before it."""
    end_s = times[-1] if times else 0.0
    row, start, last = [], 0, 0.0
    for number in range(count):
        end = len(values) if number == count - 1 else bisect_right(times, end_s * (number + 1) / count)
        part = values[start:end]
        row.append(max(part) if part else last)
        last = part[-1] if part else last
        start = end
    return row


def _x(at_s: float, end_s: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at_s / end_s if end_s else 0)


def _ticks(end_s: float) -> Iterator[tuple[float, str]]:
    step_s = next((one for one in _TICKS_S if end_s / one <= _MAX_TICKS), 7 * _DAY_S)
    for number in range(int(end_s // step_s) + 1):
        yield number * step_s, _clock(number * step_s, step_s)


def _clock(at_s: int, step_s: int) -> str:
    """The time, in the unit that the steps need."""
    if step_s >= _DAY_S:
        return f"day {at_s // _DAY_S}"
    hours, rest_s = divmod(at_s, _HOUR_S)
    return f"{hours:02}:{rest_s // 60:02}" if step_s >= 60 else f"{at_s} s"  # noqa: PLR2004
