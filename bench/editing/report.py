"""What a run found: results.json, and its figures beside their targets as report.md."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, quantiles

from bench.editing.cases import Case

FINAL_TARGET_S = 2.0
PREVIEW_TARGET_S = 0.2
PICTURES = "pictures"
"""Folder of the pictures, beside report.md."""

_TIMES = {
    "total_s": ("Latency", FINAL_TARGET_S),
    "server_s": ("In the model server", FINAL_TARGET_S),
    "preview_s": ("Preview in the model server", PREVIEW_TARGET_S),
}
_SCORES = {"psnr_db": ".2f", "ssim": ".4f", "unedited_psnr_db": ".2f", "unedited_ssim": ".4f", "lpips": ".4f"}
_SCORE_HEADS = "PSNR, dB | SSIM | PSNR unedited, dB | SSIM unedited | LPIPS |"


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
        vram_bytes: The most that the model server took of its GPUs.
        remarks: Why figures are missing.
    """

    id: str
    settings: dict[str, str]
    wall_s: float
    results: list[CaseResult]
    fid: float | None = None
    vram_bytes: int | None = None
    remarks: list[str] = field(default_factory=list)


def write_report(run: EditingRun, cases: Sequence[Case], folder: Path, out: Path) -> Path:
    """Write results.json and report.md, and return the latter's path.

    Args:
        run: What was found.
        cases: The cases, in their order.
        folder: Where their files are.
        out: Where the pictures are, and the report goes.
    """
    (out / "results.json").write_text(json.dumps(asdict(run), indent=2) + "\n", encoding="utf-8")
    path = out / "report.md"
    path.write_text("\n".join(_lines(run, cases, folder, out)) + "\n", encoding="utf-8")
    return path


def _lines(run: EditingRun, cases: Sequence[Case], folder: Path, out: Path) -> Iterator[str]:
    made = [result for result in run.results if result.problem is None]
    yield f"# Editing bench: {run.id}\n"
    yield from (f"- {name}: {value}" for name, value in run.settings.items())
    yield f"- Cases with a picture: {len(made)} of {len(run.results)}, {len(made) / run.wall_s:.2f} a second"
    yield f"- FID: {_shown(run.fid, '.1f')}"
    yield f"- Model server's VRAM: {_shown(run.vram_bytes and run.vram_bytes / 2**20, ',.0f')} MiB at most"
    yield from (f"- {remark}" for remark in run.remarks)
    yield "\n| Time, s | mean | p50 | p95 | target of p95 |\n|---|---|---|---|---|"
    for name, (title, target_s) in _TIMES.items():
        yield f"| {title} | {_times(_known(made, name), target_s)} |"
    yield f"\n| Kind | Cases | Failed | Latency, s | {_SCORE_HEADS}\n{'|---' * 9}|"
    kinds = {case.id: case.kind for case in cases}
    for kind in [*dict.fromkeys(kinds.values()), "all"]:
        results = [result for result in run.results if kind in ("all", kinds[result.case])]
        good = [result for result in results if result.problem is None]
        counts = f"{len(results)} | {len(results) - len(good)}"
        yield f"| {kind} | {counts} | {_mean(good, 'total_s', '.2f')} | {_scores(good)} |"
    yield f"\n| Case | Input | Result | Reference | Latency, s | {_SCORE_HEADS}\n{'|---' * 10}|"
    for case, result in zip(cases, run.results, strict=True):
        files = [(folder, case.input), (out, result.picture), (folder, case.reference)]
        pictures = " | ".join(f"![]({os.path.relpath(home / name, out)})" if name else "-" for home, name in files)
        words = " ".join((result.problem or case.instructions or case.prompt).replace("|", r"\|").split())
        yield f"| **{case.id}** {words} | {pictures} | {_mean([result], 'total_s', '.2f')} | {_scores([result])} |"


def _times(values: Sequence[float], target_s: float) -> str:
    if not values:
        return f"- | - | - | below {target_s:g}"
    cuts = quantiles([*values, values[-1]] if len(values) == 1 else values, n=100, method="inclusive")
    verdict = "kept" if cuts[94] < target_s else "**not kept**"
    return f"{mean(values):.2f} | {cuts[49]:.2f} | {cuts[94]:.2f} | below {target_s:g}: {verdict}"


def _scores(results: Sequence[CaseResult]) -> str:
    return " | ".join(_mean(results, name, form) for name, form in _SCORES.items())


def _mean(results: Sequence[CaseResult], name: str, form: str) -> str:
    values = _known(results, name)
    return _shown(mean(values) if values else None, form)


def _known(results: Sequence[CaseResult], name: str) -> list[float]:
    return [value for result in results if (value := getattr(result, name)) is not None]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
