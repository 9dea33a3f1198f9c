from types import SimpleNamespace

import pytest

from keeper.reaper import lost, not_begun


def record(**changes):
    values = {"runtime": "sdruntime", "claims": 0, "redrives": 0, "created_s": 1000.0}
    values |= {"start_by_s": 1000.0 + 24 * 3600}
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize(
    ("waited_s", "words"),
    [(24 * 3600, "24 h"), (5, "5 s"), (59.4, "59.4 s"), (90, "1.5 min"), (5400, "1.5 h")],
)
def test_a_reason_names_the_time_that_a_job_waited_in_words_and_the_runtime_to_look_at(waited_s, words):
    message = not_begun(record(start_by_s=1000 + waited_s), now_s=10**9).message
    assert f"within {words}" in message
    assert "runtime sdruntime has pods" in message
    assert lost(waited_s).message.endswith(f"within {words}.")


@pytest.mark.parametrize("before", [{"claims": 1}, {"redrives": 1}])
def test_a_job_that_was_begun_before_is_not_said_to_have_never_been_begun(before):
    assert "began" not in not_begun(record(**before), now_s=0).message
