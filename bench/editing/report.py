"""Writes a run's results.json, and report.md with the figures of all cases and their targets."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, quantiles

import jinja2

from bench.editing.cases import Case
from bench.editing.usage import MachineUsage

PICTURES = "pictures"
"""Folder of the pictures, next to report.md."""

_TARGETS_S = {"total_s": 2.0, "server_s": 2.0, "preview_s": 0.2}
_FIGURES = {
    "total_s": ("Latency, s", ".2f"),
    "server_s": ("In the model server, s", ".2f"),
    "preview_s": ("Preview in the model server, s", ".2f"),
    "psnr_db": ("PSNR, dB", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "unedited_psnr_db": ("PSNR unedited, dB", ".2f"),
    "unedited_ssim": ("SSIM unedited", ".4f"),
    "lpips": ("LPIPS", ".4f"),
}
_OF_A_KIND = [name for name in _FIGURES if name not in ("server_s", "preview_s")]


@dataclass(slots=True)
class CaseResult:
    """A case's figures as in results.json; None if unknown.

    ``problem`` is None if there is a picture; ``picture`` is its file, relative to results.json. ``preview_s`` is
    measured in the model server. The unedited figures compare the input with the reference.
    """

    case: str
    problem: str | None = None
    picture: str | None = None
    total_s: float | None = None
    server_s: float | None = None
    preview_s: float | None = None
    psnr_db: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    unedited_psnr_db: float | None = None
    unedited_ssim: float | None = None


@dataclass(slots=True, kw_only=True)
class EditingRun:
    """A run of all cases, with results in the same order; ``remarks`` explain missing figures.

    ``wall_s`` lasts from the first request to the download of the last picture.
    """

    id: str
    settings: dict[str, str]
    wall_s: float
    results: list[CaseResult]
    fid: float | None = None
    usage: MachineUsage = field(default_factory=MachineUsage)
    remarks: list[str] = field(default_factory=list)


def write_report(run: EditingRun, cases: Sequence[Case], out: Path) -> Path:
    """Write results.json and report.md to the folder ``out``; return the path of report.md."""
    (out / "results.json").write_text(json.dumps(asdict(run), indent=2) + "\n", encoding="utf-8")
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    templates = jinja2.Environment(loader=folder, trim_blocks=True, lstrip_blocks=True)
    templates.filters["mib"] = lambda size: f"{size / 2**20:,.0f} MiB" if size else "-"
    made = [result for result in run.results if result.problem is None]
    text = templates.get_template("report.md.jinja").render(
        run=run,
        made=made,
        times=[_times(made, name) for name in _TARGETS_S],
        titles=[_FIGURES[name][0] for name in _OF_A_KIND],
        kinds=_kinds(run.results, {case.id: case.kind for case in cases}),
    )
    path = out / "report.md"
    path.write_text(text + "\n", encoding="utf-8")
    return path


def known_figures(result: CaseResult) -> dict[str, str]:
    """The known figures of a case, by title."""
    return {title: _mean([result], name) for name, (title, _) in _FIGURES.items() if _known([result], name)}


def _times(results: Sequence[CaseResult], name: str) -> list[str]:
    title, target_s = _FIGURES[name][0].removesuffix(", s"), _TARGETS_S[name]
    values = _known(results, name)
    if not values:
        return [title, "-", "-", "-", f"below {target_s:g}"]
    # Double a single value: quantiles needs two.
    cuts = quantiles(values * 2 if len(values) == 1 else values, n=100, method="inclusive")
    verdict = "kept" if cuts[94] < target_s else "**not kept**"
    return [title, _mean(results, name), f"{cuts[49]:.2f}", f"{cuts[94]:.2f}", f"below {target_s:g}: {verdict}"]


def _kinds(results: Sequence[CaseResult], kind_of: dict[str, str]) -> Iterator[list[str]]:
    for kind in [*dict.fromkeys(kind_of.values()), "all"]:
        some = [result for result in results if kind in ("all", kind_of[result.case])]
        good = [result for result in some if result.problem is None]
        yield [kind, str(len(some)), str(len(some) - len(good)), *(_mean(good, name) for name in _OF_A_KIND)]


def _mean(results: Sequence[CaseResult], name: str) -> str:
    values = _known(results, name)
    return f"{mean(values):{_FIGURES[name][1]}}" if values else "-"


def _known(results: Sequence[CaseResult], name: str) -> list[float]:
    return [value for result in results if (value := getattr(result, name)) is not None]
