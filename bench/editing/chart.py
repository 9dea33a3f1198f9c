"""The latency of every case as a picture, in SVG that needs nothing else."""

from html import escape

from bench.editing.results import CaseResult, Run
from bench.editing.summary import FINAL_TARGET_S

_WIDTH, _HEIGHT = 1200, 220
_LEFT, _RIGHT, _TOP, _FOOT = 52, 12, 16, 28
_ROUND_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_MAX_LINES = 6


def draw_latencies(run: Run) -> str:
    """Draw one bar a case, in order, the time in the model server darker; a failed case is a red mark."""
    most = max([FINAL_TARGET_S, *(one.timings.total_s for one in run.results if one.timings)]) * 1.05
    scale = (_HEIGHT - _TOP - _FOOT) / most
    step = (_WIDTH - _LEFT - _RIGHT) / len(run.results)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" class="chart">',
        "<title>Latency of every case</title>",
        *_axis(most, scale),
    ]
    for place, result in enumerate(run.results):
        parts += _bars(result, _LEFT + place * step, step, scale)
    y = _HEIGHT - _FOOT - FINAL_TARGET_S * scale
    parts += [
        f'<line class="target" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>',
        f'<text class="target" x="{_WIDTH - _RIGHT}" y="{y - 5:.1f}" text-anchor="end">{FINAL_TARGET_S:g} s</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">cases in order</text>',
        "</svg>",
    ]
    return "\n".join(parts)


def _bars(result: CaseResult, x: float, step: float, scale: float) -> list[str]:
    base, wide = _HEIGHT - _FOOT, max(1.0, step * 0.8)
    title = f"<title>{escape(result.case)}</title>"
    if result.problem is not None or result.timings is None:
        return [f'<rect class="failed" x="{x:.1f}" y="{base - 8}" width="{wide:.1f}" height="8">{title}</rect>']
    spans = [("total", result.timings.total_s), ("server", result.timings.server_s or 0.0)]
    return [
        f'<rect class="{name}" x="{x:.1f}" y="{base - span * scale:.1f}" width="{wide:.1f}" '
        f'height="{span * scale:.1f}">{title}</rect>'
        for name, span in spans
    ]


def _axis(most: float, scale: float) -> list[str]:
    step = next((one for one in _ROUND_S if most / one <= _MAX_LINES), _ROUND_S[-1])
    parts = []
    for number in range(int(most / step) + 1):
        y = _HEIGHT - _FOOT - number * step * scale
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number * step:g} s</text>')
    return parts
