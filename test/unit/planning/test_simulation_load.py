import pytest

from planning.simulation import Load


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
