import pytest

from courier.schedule import JITTER, MAX_PAUSE_S, PAUSES_S, pause_before, read_retry_after

NOW_S = 1_800_000_000.0


def test_the_pauses_are_those_of_the_schedule_and_no_more_follow():
    for number, least_s in enumerate((5, 300, 1800, 7200, 18_000, 36_000), start=2):
        pauses = [pause_before(number) for _ in range(50)]
        assert all(least_s <= pause <= least_s * (1 + JITTER) for pause in pauses)
        assert len(set(pauses)) > 1
    assert pause_before(len(PAUSES_S) + 2) is None
    assert pause_before(100) is None


@pytest.mark.parametrize(("asked_s", "pause_s"), [(3600, 3600), (10 * MAX_PAUSE_S, MAX_PAUSE_S)])
def test_a_receiver_may_ask_for_a_longer_pause_up_to_a_limit(asked_s, pause_s):
    assert pause_before(2, asked_s) == pause_s


def test_a_receiver_may_not_ask_for_a_shorter_pause_or_for_more_attempts():
    assert pause_before(3, 1) >= 300
    assert pause_before(len(PAUSES_S) + 2, 60) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("Fri, 15 Jan 2027 08:01:00", 60),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        *((value, 0) for value in ("", "soon", "-5", "1.5", "\u0661", "nan", "1e9")),
        *((f"Fri, {date} GMT", 0) for date in ("99 Jan 2027 08:01:00", f"15 Jan {'9' * 30} 08:01:00")),
        ("Fri, 15 Jan 2027 08:01:00 +9999999999", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nothing_else(value, seconds):
    assert read_retry_after(value, NOW_S) == seconds


def test_a_retry_after_of_very_many_digits_is_a_number():
    assert read_retry_after("9" * 10_000, NOW_S) > MAX_PAUSE_S
