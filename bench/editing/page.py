"""The page on which people rate a run: pictures side by side, in one HTML file that loads nothing."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template

from PIL import Image

from bench.editing.cases import UNREADABLE, Case
from bench.editing.report import CaseResult, EditingRun, known_figures

_TEMPLATE = Path(__file__).with_name("page.html")
_MAX_SIDE = 512
_QUALITY = 82


def write_page(run: EditingRun, cases: Sequence[Case], folder: Path, out: Path) -> None:
    """Write report.html to the folder ``out``; the cases' files are in ``folder``."""
    shown = [_shown(case, result, folder, out) for case, result in zip(cases, run.results, strict=True)]
    # Without "<", nothing in the data can end its script element.
    data = json.dumps({"run": run.id, "settings": run.settings, "cases": shown}).replace("<", r"\u003c")
    page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(data=data)
    (out / "report.html").write_text(page, encoding="utf-8")


def _shown(case: Case, result: CaseResult, folder: Path, out: Path) -> dict[str, object]:
    files = {"input": (folder, case.input), "result": (out, result.picture), "reference": (folder, case.reference)}
    return {
        "id": case.id,
        "kind": case.kind,
        "words": case.instructions or case.prompt,
        "problem": result.problem,
        "figures": known_figures(result),
        "pictures": {title: _data_uri(home / name) if name else None for title, (home, name) in files.items()},
    }


def _data_uri(path: Path) -> str | None:
    """The picture, reduced to the page's size; None if it cannot be read."""
    try:
        picture = Image.open(path).convert("RGB")
    except UNREADABLE:
        return None
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
