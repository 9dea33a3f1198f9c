"""What a run found: results.json, and the figures of all cases beside their targets as report.md."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, quantiles

from bench.editing.cases import Case
from bench.editing.usage import Usage

FINAL_TARGET_S = 2.0
PREVIEW_TARGET_S = 0.2
PICTURES = "pictures"
"""Folder of the pictures, beside report.md."""

_TIMES = {
    "total_s": ("Latency", FINAL_TARGET_S),
    "server_s": ("In the model server", FINAL_TARGET_S),
    "preview_s": ("Preview in the model server", PREVIEW_TARGET_S),
}
_SCORES = {
    "psnr_db": ("PSNR, dB", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "unedited_psnr_db": ("PSNR unedited, dB", ".2f"),
    "unedited_ssim": ("SSIM unedited", ".4f"),
    "lpips": ("LPIPS", ".4f"),
}


@dataclass(slots=True)
class CaseResult:
    """What became of a case; a figure is None if it is not known.

    Attributes:
        case: Its id.
        problem: What went wrong; None if a picture came.
        picture: The picture's file, relative to results.json.
        total_s: From the request until its notice came.
        server_s: In the model server.
        preview_s: In the model server until its preview.
        psnr_db, ssim, lpips: How alike the picture and its reference are.
        unedited_psnr_db, unedited_ssim: How alike the input and the reference are.
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
    """A run of all cases.

    Attributes:
        id: Begins the ids of its tasks.
        settings: What was run, by name.
        wall_s: From the first request until the last picture was fetched.
        results: In the order of the cases.
        fid: Distance of all pictures from all references.
        usage: What it took of this machine and of the model server.
        remarks: Why figures are missing.
    """

    id: str
    settings: dict[str, str]
    wall_s: float
    results: list[CaseResult]
    fid: float | None = None
    usage: Usage = field(default_factory=Usage)
    remarks: list[str] = field(default_factory=list)


def write_report(run: EditingRun, cases: Sequence[Case], out: Path) -> Path:
    """Write results.json and report.md in the folder ``out``, and return the latter's path."""
    (out / "results.json").write_text(json.dumps(asdict(run), indent=2) + "\n", encoding="utf-8")
    path = out / "report.md"
    path.write_text("\n".join(_lines(run, cases)) + "\n", encoding="utf-8")
    return path


def known_figures(result: CaseResult) -> dict[str, str]:
    """The figures of one case by title, without those that are not known."""
    forms = {name: (f"{title}, s", ".2f") for name, (title, _) in _TIMES.items()} | _SCORES
    return {title: _mean([result], name, form) for name, (title, form) in forms.items() if _known([result], name)}


def _lines(run: EditingRun, cases: Sequence[Case]) -> Iterator[str]:
    made = [result for result in run.results if result.problem is None]
    yield f"# Editing bench: {run.id}\n"
    yield from (f"- {name}: {value}" for name, value in run.settings.items())
    yield f"- Cases with a picture: {len(made)} of {len(run.results)}, {len(made) / run.wall_s:.2f} a second"
    yield f"- FID: {_shown(run.fid, '.1f')}"
    yield f"- This machine: CPU {run.usage.cpu_percent:.0f} %, RAM {_mib(run.usage.ram_bytes)} at most"
    yield f"- Network: {_mib(run.usage.sent_bytes)} sent, {_mib(run.usage.received_bytes)} received"
    server = f"VRAM {_mib(run.usage.server_vram_bytes)}, RAM {_mib(run.usage.server_ram_bytes)}"
    yield f"- Model server at most: {server}"
    yield from (f"- {remark}" for remark in run.remarks)
    yield "\n| Time, s | mean | p50 | p95 | target of p95 |\n|---|---|---|---|---|"
    for name, (title, target_s) in _TIMES.items():
        yield f"| {title} | {_times(_known(made, name), target_s)} |"
    heads = " | ".join(title for title, _ in _SCORES.values())
    yield f"\n| Kind | Cases | Failed | Latency, s | {heads} |\n{'|---' * 9}|"
    kinds = {case.id: case.kind for case in cases}
    for kind in [*dict.fromkeys(kinds.values()), "all"]:
        results = [result for result in run.results if kind in ("all", kinds[result.case])]
        good = [result for result in results if result.problem is None]
        scores = " | ".join(_mean(good, name, form) for name, (_, form) in _SCORES.items())
        counts = f"{len(results)} | {len(results) - len(good)}"
        yield f"| {kind} | {counts} | {_mean(good, 'total_s', '.2f')} | {scores} |"
    yield "\nAll pictures and figures of each case: [report.html](report.html).\n"
    problems = {result.case: " ".join(result.problem.split()) for result in run.results if result.problem}
    yield from (f"- {case} failed: {problem}" for case, problem in problems.items())


def _times(values: Sequence[float], target_s: float) -> str:
    if not values:
        return f"- | - | - | below {target_s:g}"
    cuts = quantiles([*values, values[-1]] if len(values) == 1 else values, n=100, method="inclusive")
    verdict = "kept" if cuts[94] < target_s else "**not kept**"
    return f"{mean(values):.2f} | {cuts[49]:.2f} | {cuts[94]:.2f} | below {target_s:g}: {verdict}"


def _mean(results: Sequence[CaseResult], name: str, form: str) -> str:
    values = _known(results, name)
    return _shown(mean(values) if values else None, form)


def _known(results: Sequence[CaseResult], name: str) -> list[float]:
    return [value for result in results if (value := getattr(result, name)) is not None]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB" if size_bytes else "-"
