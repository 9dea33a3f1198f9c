from datetime import UTC, datetime

import pytest

from bench.editing.cases import Case
from bench.editing.results import CaseResult, Run, Scores, Timings, Usage
from bench.editing.summary import by_kind, figures, percentile


def made(case, total_s, ssim=None, **timings):
    scores = None if ssim is None else Scores(psnr_db=ssim * 10, ssim=ssim)
    return CaseResult(
        case=case,
        picture="p.png",
        timings=Timings(total_s=total_s, **timings),
        scores=scores,
        unedited=scores and Scores(psnr_db=1, ssim=0.25),
    )


def run_of(*results, **values):
    known = {"wall_s": 4, "usage": Usage(), "concurrency": 2, "runtime": "r", "template": "t", "id": "run"}
    return Run(results=list(results), began=datetime(2026, 1, 1, tzinfo=UTC), **(known | values))


def figure(name, run):
    (found,) = [one for one in figures(run) if one.name == name]
    return found


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [(1, 95, 1), (20, 95, 19), (21, 95, 20), (100, 95, 95), (100, 50, 50), (3, 50, 2), (4, 50, 2), (7, 100, 7)],
)
def test_a_percentile_is_the_least_value_that_so_many_percent_do_not_exceed(count, percent, expected):
    assert percentile(list(range(count, 0, -1)), percent) == expected


def test_latencies_are_those_of_cases_with_a_picture():
    failed = CaseResult(case="c", problem="no", timings=Timings(total_s=100))
    run = run_of(made("a", 1), made("b", 2), failed)
    assert figure("Latency, mean", run).value == "1.50 s"
    assert figure("Latency, p50", run).value == "1.00 s"
    assert figure("Latency, p95", run).value == "2.00 s"


@pytest.mark.parametrize(("total_s", "kept"), [(1.99, True), (2.0, False), (3, False)])
def test_the_target_for_a_picture_is_below_two_seconds_for_95_of_100(total_s, kept):
    assert figure("Latency, p95", run_of(made("a", total_s))).kept is kept


@pytest.mark.parametrize(("preview_s", "kept"), [(0.19, True), (0.2, False)])
def test_the_target_for_a_preview_is_below_a_fifth_of_a_second(preview_s, kept):
    assert figure("Preview in the model server, p95", run_of(made("a", 1, preview_s=preview_s))).kept is kept


def test_a_time_that_nobody_told_is_neither_kept_nor_missed():
    preview = figure("Preview in the model server, p95", run_of(made("a", 1)))
    assert (preview.value, preview.kept) == ("-", None)
    assert "tells no time" in preview.remark


def test_throughput_counts_pictures_and_not_failures():
    run = run_of(made("a", 1), made("b", 1), CaseResult(case="c", problem="no"), wall_s=4)
    assert figure("Throughput", run).value == "0.50 a second"
    assert figure("Cases with a picture", run).value == "2 of 3"


def test_likeness_stands_beside_that_of_the_unedited_inputs():
    ssim = figure("SSIM", run_of(made("a", 1, 0.5), made("b", 1, 0.75), made("c", 1)))
    assert ssim.value == "0.6250"
    assert "0.2500" in ssim.remark


def test_a_measure_that_is_not_at_hand_says_why():
    run = run_of(made("a", 1, 0.5), remarks=["LPIPS: its weights are not at hand."])
    assert (figure("LPIPS", run).value, figure("LPIPS", run).remark) == ("-", "its weights are not at hand.")


def test_a_run_without_a_single_picture_has_figures_too():
    run = run_of(CaseResult(case="a", problem="no"))
    assert figure("Latency, p95", run).value == "-"
    assert figure("SSIM", run).value == "-"


def test_kinds_are_summed_up_apart():
    cases = [Case(id="a", kind="text"), Case(id="b", kind="light"), Case(id="c", kind="text")]
    run = run_of(made("a", 1, 0.5), made("b", 3, 0.9), CaseResult(case="c", problem="no"))
    text, light = by_kind(run, cases)
    assert (text.kind, text.cases, text.failed, text.latency, text.ssim) == ("text", 2, 1, "1.00 s", "0.5000")
    assert (light.kind, light.cases, light.failed, light.latency, light.ssim) == ("light", 1, 0, "3.00 s", "0.9000")
