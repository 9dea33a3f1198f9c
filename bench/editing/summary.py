"""The figures of a run, each beside its target."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from bench.editing.cases import Case
from bench.editing.results import CaseResult, Run, Scores, Timings, Usage

FINAL_TARGET_S = 2.0
PREVIEW_TARGET_S = 0.2
NONE = "-"
_MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: What was measured.
        value: With its unit.
        target: What it is held against; empty where there is none.
        kept: Whether it keeps the target; None where there is none, or no figure.
        remark: What one should know of it.
    """

    name: str
    value: str
    target: str = ""
    kept: bool | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFigures:
    """The figures of one kind of cases."""

    kind: str
    cases: int
    failed: int
    latency: str
    psnr: str
    ssim: str
    ssim_unedited: str
    lpips: str


def percentile(values: Sequence[float], percent: int) -> float:
    """The least value that at least so many percent of all values do not exceed (nearest rank)."""
    rank = -(-percent * len(values) // 100)
    return sorted(values)[max(rank, 1) - 1]


def figures(run: Run) -> list[Figure]:
    """All figures of a run."""
    return [*_counts(run), *_latencies(run), *_likeness(run), *_usage(run.usage)]


def by_kind(run: Run, cases: Sequence[Case]) -> list[KindFigures]:
    """Figures by kind of case, in the order in which kinds come first."""
    kinds = {case.id: case.kind for case in cases}
    grouped: dict[str, list[CaseResult]] = {kind: [] for kind in kinds.values()}
    for result in run.results:
        grouped[kinds[result.case]].append(result)
    return [_of_kind(kind, results) for kind, results in grouped.items()]


def seconds(value: float | None) -> str:
    """Seconds as they are shown."""
    return NONE if value is None else f"{value:.2f} s"


def _counts(run: Run) -> Iterator[Figure]:
    failed = sum(result.problem is not None for result in run.results)
    made = len(run.results) - failed
    remark = f"{failed} failed; each says why below" if failed else "none failed"
    yield Figure(name="Cases with a picture", value=f"{made} of {len(run.results)}", remark=remark)
    rate = f"{made / run.wall_s:.2f} a second" if run.wall_s else NONE
    yield Figure(name="Throughput", value=rate, remark=f"{run.concurrency} at once, {seconds(run.wall_s)} in all")


def _latencies(run: Run) -> Iterator[Figure]:
    heard = "from the request until the notice is heard"
    in_server = "as the runtime's manifest tells it"
    yield from _spread("Latency", _times(run.results, lambda one: one.total_s), FINAL_TARGET_S, heard)
    yield from _spread(
        "Time in the model server", _times(run.results, lambda one: one.server_s), FINAL_TARGET_S, in_server
    )
    previews = _times(run.results, lambda one: one.preview_s)
    told = in_server if previews else "this runtime tells no time of a preview"
    yield from _spread("Preview in the model server", previews, PREVIEW_TARGET_S, told)


def _spread(name: str, values: Sequence[float], target_s: float, remark: str) -> Iterator[Figure]:
    target = f"below {target_s:g} s"
    if not values:
        yield Figure(name=f"{name}, p95", value=NONE, target=target, remark=remark)
        return
    yield Figure(name=f"{name}, mean", value=seconds(mean(values)), remark=remark)
    yield Figure(name=f"{name}, p50", value=seconds(percentile(values, 50)))
    p95 = percentile(values, 95)
    yield Figure(name=f"{name}, p95", value=seconds(p95), target=target, kept=p95 < target_s)


def _likeness(run: Run) -> Iterator[Figure]:
    unedited = [result.unedited for result in run.results if result.scores]
    scores = [result.scores for result in run.results]
    psnr, ssim = _mean_of(scores, lambda one: one.psnr_db), _mean_of(scores, lambda one: one.ssim)
    idle_psnr, idle_ssim = _mean_of(unedited, lambda one: one.psnr_db), _mean_of(unedited, lambda one: one.ssim)
    remark = "mean; the unedited input would have {}"
    yield Figure(name="PSNR", value=_shown(psnr, "{:.2f} dB"), remark=remark.format(_shown(idle_psnr, "{:.2f} dB")))
    yield Figure(name="SSIM", value=_shown(ssim, "{:.4f}"), remark=remark.format(_shown(idle_ssim, "{:.4f}")))
    missing = {one.partition(":")[0]: one.partition(":")[2].strip() for one in run.remarks}
    lpips = _shown(_mean_of(scores, lambda one: one.lpips), "{:.4f}")
    yield Figure(name="LPIPS", value=lpips, remark=missing.get("LPIPS", "mean, by AlexNet; 0 is equal"))
    few = "by Inception; too high where there are fewer than some thousand pictures"
    yield Figure(name="FID", value=_shown(run.fid, "{:.1f}"), remark=missing.get("FID", few))


def _usage(usage: Usage) -> Iterator[Figure]:
    untold = "no --memory-url told it"
    for name, value in (("VRAM", usage.server_vram_bytes), ("RAM", usage.server_ram_bytes)):
        yield Figure(name=f"Model server's {name}", value=_mebibytes(value), remark="most" if value else untold)
    yield Figure(name="This machine's CPU", value=_shown(usage.cpu_percent, "{:.0f} %"), remark="mean of all cores")
    yield Figure(name="This machine's RAM", value=_mebibytes(usage.ram_bytes), remark="most")
    network = f"{_mebibytes(usage.sent_bytes)} sent, {_mebibytes(usage.received_bytes)} received"
    yield Figure(name="This machine's network", value=network, remark="all interfaces")


def _of_kind(kind: str, results: Sequence[CaseResult]) -> KindFigures:
    scores = [result.scores for result in results]
    unedited = [result.unedited for result in results]
    latencies = _times(results, lambda one: one.total_s)
    return KindFigures(
        kind=kind,
        cases=len(results),
        failed=sum(result.problem is not None for result in results),
        latency=seconds(mean(latencies)) if latencies else NONE,
        psnr=_shown(_mean_of(scores, lambda one: one.psnr_db), "{:.2f} dB"),
        ssim=_shown(_mean_of(scores, lambda one: one.ssim), "{:.4f}"),
        ssim_unedited=_shown(_mean_of(unedited, lambda one: one.ssim), "{:.4f}"),
        lpips=_shown(_mean_of(scores, lambda one: one.lpips), "{:.4f}"),
    )


def _times(results: Sequence[CaseResult], what: Callable[[Timings], float | None]) -> list[float]:
    """A time of all cases that have it and got a picture."""
    told = [what(one.timings) for one in results if one.timings and one.problem is None]
    return [value for value in told if value is not None]


def _mean_of(scores: Sequence[Scores | None], what: Callable[[Scores], float | None]) -> float | None:
    values = [value for one in scores if one is not None and (value := what(one)) is not None]
    return mean(values) if values else None


def _shown(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)


def _mebibytes(value: int | None) -> str:
    return NONE if value is None else f"{value / _MEBIBYTE:,.0f} MiB"
