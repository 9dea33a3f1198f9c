import dataclasses

import pytest

from contract.deadlines import DEFAULT_DEADLINES, MIN_STALL_S, AskedDeadlines


@pytest.mark.parametrize(
    ("asked_s", "own_s", "stall_s"),
    [(1e-9, 240, MIN_STALL_S), (29, 240, MIN_STALL_S), (31, 240, 31), (1e-9, 3, 3), (10, 3, 10), (None, 3, 3)],
)
def test_a_task_cannot_have_its_server_called_hung_at_once(asked_s, own_s, stall_s):
    deadlines = dataclasses.replace(DEFAULT_DEADLINES, stall_s=own_s)
    assert deadlines.with_asked(AskedDeadlines(stall_seconds=asked_s)).stall_s == stall_s
