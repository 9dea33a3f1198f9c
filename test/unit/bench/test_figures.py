import pytest

from bench.figures import Figure, exit_status, print_all


@pytest.mark.parametrize(("limit", "at_least", "is_kept"), [(2, False, True), (1.9, False, False), (2, True, True)])
def test_a_limit_is_held_against_the_median_and_may_be_reached(limit, at_least, is_kept):
    assert Figure("f", [1, 2, 9], "ms", limit, at_least=at_least).is_kept is is_kept


def test_a_share_below_what_it_must_be_at_least_is_not_kept():
    row = Figure("busy", [98.994], "%", 99, at_least=True, digits=2).row()
    assert "98.99 %" in row
    assert "at least 99 %: NOT KEPT" in row


def test_an_upper_limit_is_called_one():
    assert Figure("time", [3.0], "ms", 4).row().endswith("limit 4 ms: kept")


def test_without_a_limit_there_is_no_verdict():
    figure = Figure("time", [3.0], "ms")
    assert figure.is_kept
    assert "kept" not in figure.row().lower()


@pytest.mark.parametrize(("short", "status"), [(False, 1), (True, 0)])
def test_a_limit_that_is_not_kept_fails_the_long_form_alone(short, status):
    kept, missed = Figure("a", [3.0], "ms", 4), Figure("b", [5.0], "ms", 4)
    assert exit_status([kept, missed], short=short) == status
    assert exit_status([kept], short=short) == 0


def test_figures_are_printed_as_they_come(capsys):
    figures = [Figure("a", [3.0], "ms", 4), Figure("b", [5.0], "ms")]
    assert print_all(iter(figures)) == figures
    assert capsys.readouterr().out.splitlines() == [figure.row() for figure in figures]
