import pytest

from bench.agent.timeline import Span, Timeline, attributed_s, covered_s


def test_the_busy_share_counts_from_the_first_start_to_the_last_end():
    line = Timeline([Span(10, 11), Span(13, 14)])
    assert line.busy_s == 2
    assert line.busy_share == 0.5


def test_one_job_alone_is_busy_all_the_time():
    assert Timeline([Span(10, 12)]).busy_share == 1


def test_jobs_may_come_in_any_order():
    assert Timeline([Span(13, 14), Span(10, 11)]).jobs == [Span(10, 11), Span(13, 14)]


def test_time_in_which_two_jobs_ran_counts_once():
    line = Timeline([Span(0, 3), Span(1, 2), Span(2, 4)])
    assert line.busy_s == 4
    assert line.gaps == []


def test_each_gap_names_the_task_that_ended_it():
    line = Timeline([Span(0, 1, "a"), Span(2, 3, "b"), Span(3, 4, "c"), Span(4.5, 5, "d")])
    assert line.gaps == [Span(1, 2, "b"), Span(4, 4.5, "d")]


def test_there_is_no_timeline_without_a_job():
    with pytest.raises(ValueError, match="no job"):
        Timeline([])


def test_what_lies_outside_covers_nothing():
    assert covered_s([Span(0, 2), Span(5, 9), Span(20, 30)], Span(1, 6)) == 2


def test_a_gaps_time_goes_to_the_first_cause_at_work_and_the_rest_to_none():
    causes = [("server", [Span(0, 2)]), ("S3", [Span(1, 4), Span(3, 5)])]
    assert attributed_s(causes, [Span(1, 6), Span(10, 11)]) == {"server": 1, "S3": 3, "": 2}
