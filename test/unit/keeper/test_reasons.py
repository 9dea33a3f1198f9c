from types import SimpleNamespace

import pytest

from keeper.reaper import lost, not_begun


def record(**changes):
    values = {"runtime": "sdruntime", "claims": 0, "redrives": 0, "created_s": 1000.0, "due_s": 1000.0 + 24 * 3600}
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize(
    ("due_s", "words"),
    [
        (87400.0, "within 24 h"),
        (1005.0, "within 5 s"),
        (1059.4, "59.4 s"),
        (1090.0, "within 1.5 min"),
        (6400.0, "1.5 h"),
    ],
)
def test_a_job_that_was_never_begun_is_told_how_long_it_waited_in_words(due_s, words):
    assert words in not_begun(record(due_s=due_s), now_s=10**9).message


@pytest.mark.parametrize("before", [{"claims": 1}, {"redrives": 1}])
def test_a_job_that_was_begun_before_is_not_said_to_have_never_been_begun(before):
    assert "began" not in not_begun(record(**before), now_s=0).message


def test_the_reason_names_the_runtime_to_look_at():
    assert "runtime sdruntime has pods" in not_begun(record(), now_s=0).message


def test_a_lost_job_is_told_for_how_long_nobody_took_it_up():
    assert lost(36 * 3600).message.endswith("within 36 h.")
