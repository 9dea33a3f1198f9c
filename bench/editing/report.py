"""The report of a run: one HTML file that needs nothing else."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from bench.editing.cards import card
from bench.editing.cases import Case
from bench.editing.chart import draw_latencies
from bench.editing.results import Run
from bench.editing.summary import Figure, KindFigures, by_kind, figures

FILE = "report.html"
_PAGE = Path(__file__).parent / "page"
_FIGURE_HEADS = ("Figure", "Value", "Target", "")
_KIND_HEADS = ("Kind", "Cases", "Failed", "Latency, mean", "PSNR", "SSIM", "SSIM, unedited", "LPIPS")


def write_report(run: Run, cases: Sequence[Case], folder: Path, out: Path) -> Path:
    """Write report.html and give its path.

    Args:
        run: What was found.
        cases: The cases, in their order.
        folder: Where their files are.
        out: Where the pictures are, and the report goes.
    """
    path = out / FILE
    path.write_text(render(run, cases, folder, out), encoding="utf-8")
    return path


def render(run: Run, cases: Sequence[Case], folder: Path, out: Path) -> str:
    """Write the page; whatever comes from outside is escaped."""
    results = {result.case: result for result in run.results}
    kinds = by_kind(run, cases)
    title = f"Editing bench: {escape(run.runtime)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{(_PAGE / "report.css").read_text(encoding="utf-8")}</style>
</head>
<body data-run="{escape(run.id)}">
<main>
<h1>{title}</h1>
<p class="faint">{run.began:%Y-%m-%d %H:%M} UTC · run {escape(run.id)} · template {escape(run.template)}</p>
<h2>Figures</h2>
<div class="wide"><table class="figures"><thead><tr>{_cells(_FIGURE_HEADS, "th")}</tr></thead>
<tbody>{"".join(map(_figure_row, figures(run)))}</tbody></table></div>
<h2>By kind</h2>
<div class="wide"><table><thead><tr>{_cells(_KIND_HEADS, "th")}</tr></thead>
<tbody>{"".join(map(_kind_row, kinds))}</tbody></table></div>
<h2>Latencies</h2>
{draw_latencies(run)}
<p class="faint legend"><i class="total"></i> from request to notice <i class="server"></i> in the model server
<i class="failed"></i> failed</p>
<h2>Cases</h2>
{_tools([kind.kind for kind in kinds])}
{"".join(card(case, results[case.id], folder, out) for case in cases)}
</main>
<dialog id="large"><img alt=""></dialog>
<script>
{(_PAGE / "report.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def _figure_row(figure: Figure) -> str:
    verdict = {True: '<b class="kept">kept</b>', False: '<b class="missed">not kept</b>', None: ""}[figure.kept]
    target = f"{escape(figure.target)} {verdict}"
    return f"<tr>{_cells([escape(figure.name), escape(figure.value), target, escape(figure.remark)])}</tr>"


def _kind_row(kind: KindFigures) -> str:
    values = (
        *(escape(kind.kind), str(kind.cases), str(kind.failed), kind.latency),
        *(kind.psnr, kind.ssim, kind.ssim_unedited, kind.lpips),
    )
    return f"<tr>{_cells(values)}</tr>"


def _cells(values: Iterable[str], tag: str = "td") -> str:
    return "".join(f"<{tag}>{value}</{tag}>" for value in values)


def _tools(kinds: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(kind)}">{escape(kind)}</option>' for kind in kinds)
    return f"""<div class="tools">
<label>Show <select id="shown">
<option value="">all</option>{options}<option value="!failed">failed</option>
</select></label>
<span id="rated"></span>
<button id="export" type="button">Save ratings (JSON)</button>
</div>"""
