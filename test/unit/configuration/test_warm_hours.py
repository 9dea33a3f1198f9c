"""The hours in which nodes are kept warm, as config.yaml has them: what KEDA would refuse is refused, with words."""

import pytest
from pydantic import ValidationError

from configuration.chart_values import WarmHours
from configuration.cron import coming

EVENING = "0 18 * * *"


@pytest.mark.parametrize(
    "start",
    [
        "0 8 * * 1-5",
        "*/5 08 1,15 jan-MAR Mon",
        "0 8 29 2 *",
        "0 8 31 2 1",
        "0 8 30,31 2,3 *",
        "59 23 ? * 0,6",
        "10-50/20 0 1-31/2 12 *",
    ],
)
def test_what_keda_takes_is_taken(start):
    assert WarmHours(start=start, end=EVENING, timezone="Europe/Berlin").start == start


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("60 8 * * *", "60 is no minute, which is 0 to 59"),
        ("0 24 * * *", "24 is no hour"),
        ("0 8 0 * *", "0 is no day of the month"),
        ("0 8 * 13 *", "13 is no month"),
        ("0 8 * * 7", "7 is no day of the week, which is 0 to 6 or sun to sat"),
        ("0 8 * * monday", "monday is no day of the week"),
        ("0 8 * * L", "l is no day of the week"),
        ("0 8 * *", "five fields of cron"),
        ("0 \N{FULLWIDTH DIGIT EIGHT} * * *", "is no hour"),
        ("@daily", "five fields of cron"),
        ("CRON_TZ=UTC 0 8 * * *", "five fields of cron"),
        ("*/0 8 * * *", "is no minute"),
        ("0 8-9-10 * * *", "is no hour"),
        ("0 8, * * *", "is no hour"),
        ("0 8 * * fri-mon", "fri-mon ends before it begins"),
        ("0 18-8 * * *", "18-8 ends before it begins"),
        ("0 8 31 2 *", "there is no such day in that month"),
        ("0 8 31 apr,jun *", "there is no such day in that month"),
        (EVENING, "start and end must differ"),
    ],
)
def test_hours_that_keda_refuses_or_takes_for_endless_are_refused(start, words):
    with pytest.raises(ValidationError, match=words):
        WarmHours(start=start, end=EVENING)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Europe/Berln", "there is no timezone Europe/Berln; one is Europe/Berlin"),
        ("berlin", "is it Europe/Berlin?"),
        ("../../etc/passwd", "there is no timezone"),
    ],
)
def test_a_timezone_that_does_not_exist_is_refused_with_one_that_does(name, words):
    with pytest.raises(ValidationError) as refused:
        WarmHours(start="0 8 * * *", end=EVENING, timezone=name)
    assert words in str(refused.value)


def test_a_machine_that_knows_no_timezones_takes_any(monkeypatch):
    monkeypatch.setattr("configuration.cron.available_timezones", set)
    assert WarmHours(start="0 8 * * *", end=EVENING, timezone="Mars/Base").timezone == "Mars/Base"


def test_a_list_of_days_needs_one_that_comes():
    assert coming("0 8 30,31 2,4 *")
    with pytest.raises(ValueError, match="no such day"):
        coming("0 8 30,31 2 *")
