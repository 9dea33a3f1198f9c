import pytest

from bench.agent.timeline import Span, Timeline
from bench.agent.workload import ideal_waits_s
from bench.figures import Figure, exit_status


@pytest.mark.parametrize(("limit", "at_least", "is_kept"), [(2, False, True), (1.9, False, False), (2, True, True)])
def test_a_limit_applies_to_the_median_and_fails_only_the_long_form(limit, at_least, is_kept):
    figure = Figure("f", [1, 2, 9], "ms", limit, at_least=at_least)
    assert figure.is_kept is is_kept
    assert ("NOT KEPT" in figure.row()) is not is_kept
    assert exit_status([figure], short=False) == (not is_kept)
    assert exit_status([figure], short=True) == 0


def test_a_gpu_is_busy_while_any_job_runs_and_each_gap_names_the_task_that_ended_it():
    line = Timeline([Span(4.5, 5, "task-3"), Span(0, 2, "task-1"), Span(1, 1.5, "task-0"), Span(2, 4, "task-2")])
    assert line.gaps == [Span(4, 4.5, "task-3")]
    assert line.busy_share == 0.9
    assert line.describe_gaps() == "gaps: median 500.0 ms, longest 500.0 ms (before task-3)"


@pytest.mark.parametrize(
    ("arrivals", "durations", "servers", "waits"),
    [([0, 1, 2], [9, 9, 9], 3, [0, 0, 0]), ([0, 0, 1, 1], [5, 2, 9, 1], 2, [0, 0, 1, 4])],
)
def test_in_an_ideal_queue_the_next_task_goes_to_the_first_free_server(arrivals, durations, servers, waits):
    assert ideal_waits_s(arrivals, durations, servers) == waits
