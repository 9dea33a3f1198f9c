import pytest

from planning.simulation import Load


def csv_file(tmp_path, text):
    path = tmp_path / "arrivals.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_burst_comes_at_once_and_a_steady_load_at_even_distances():
    assert list(Load.burst(3, 5).times) == [0, 0, 0]
    steady = Load.steady(2, 2, 5)
    assert (list(steady.times), steady.duration_s, steady.work_s) == ([0, 0.5, 1, 1.5], 2, 20)


def test_a_random_load_has_its_rate_and_its_seed():
    load = Load.poisson(2, 10_000, 1, seed=1)
    assert len(load) == pytest.approx(20_000, abs=3 * 20_000**0.5)
    assert load == Load.poisson(2, 10_000, 1, seed=1)
    assert load != Load.poisson(2, 10_000, 1, seed=2)


def test_a_curve_sends_most_where_it_is_highest():
    load = Load.curve(lambda at_s: 1.0 if at_s < 1000 else 9.0, 2000, 1, highest_per_second=9)
    early = sum(time < 1000 for time in load.times)
    assert early / len(load) == pytest.approx(0.1, abs=0.02)


def test_a_curve_above_its_highest_rate_is_rejected():
    with pytest.raises(ValueError, match="2 jobs a second at"):
        Load.curve(lambda _: 2.0, 100, 1, highest_per_second=1)


def test_mixed_lengths_have_their_shares():
    load = Load.burst(10_000, [(1, 80), (30, 20)])
    assert set(load.seconds) == {1, 30}
    assert list(load.seconds).count(30) == pytest.approx(2000, abs=150)


def test_one_load_comes_on_top_of_another():
    both = Load.steady(1, 3, 5).then(Load.burst(2, 7), 1.5)
    assert list(zip(both.times, both.seconds, strict=True)) == [(0, 5), (1, 5), (1.5, 7), (1.5, 7), (2, 5)]


def test_a_file_is_read_from_its_first_arrival_in_order_of_time(tmp_path):
    path = csv_file(
        tmp_path, "arrival,seconds\n2026-11-30T10:00:02Z,5\n\n2026-11-30T10:00:00Z,\n2026-11-30T11:00:01+01:00,7\n"
    )
    load = Load.from_csv(path, 1.5)
    assert list(zip(load.times, load.seconds, strict=True)) == [(0, 1.5), (1, 7), (2, 5)]


def test_a_file_of_seconds_needs_no_headings(tmp_path):
    assert list(Load.from_csv(csv_file(tmp_path, "10,2\n12.5,3\n")).times) == [0, 2.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,5\nnoon,5\n", "line 2: 'noon' is neither a number of seconds nor an ISO 8601 time"),
        ("1,5\n2\n", "line 2: how long the job takes is missing"),
        ("1,5\n2,-1\n", "line 2: a job of -1 s"),
        ("1,5\n2,quick\n", "line 2: 'quick' is not a number of seconds"),
        ("1,5\nnan,5\n", "line 2: 'nan' is not a time"),
    ],
)
def test_a_bad_line_of_a_file_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        Load.from_csv(csv_file(tmp_path, text))


@pytest.mark.parametrize(
    ("times", "seconds", "message"),
    [
        ([2, 1], [1, 1], "ascending order"),
        ([-1], [1], "ascending order"),
        ([float("nan")], [1], "ascending order"),
        ([1], [0], "takes no time"),
        ([1], [], "1 arrivals, but 0 lengths"),
    ],
)
def test_what_is_no_load_is_rejected(times, seconds, message):
    with pytest.raises(ValueError, match=message):
        Load(times, seconds)
