"""The machine's clock jumps while tasks are worked on."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libfaketime
import pytest
from faultkit.audit import check_endings
from faultkit.lanes import Case
from faultkit.processes import wait_for

LIBRARY = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


class Jump(Case):
    """A jump of one agent's clock; another agent's stays right."""

    def __init__(self, jump, *, table, start_s=None):
        deadline = "" if start_s is None else f", {start_s} s to start in"
        super().__init__(f"{jump} {'with' if table else 'without'} a table{deadline}")
        self._jump = jump
        self._start_s = start_s
        self._table = table

    @contextlib.contextmanager
    def bed(self, kit):
        with kit.runtime("sdwebui", table=self._table) as runtime:
            clock = kit.folder / f"clock-{runtime.name}"
            clock.write_text("+0\n")
            yield runtime, clock

    def run(self, bed):
        runtime, clock = bed
        slow = {"step_s": 0.1}
        pod = runtime.pod(
            LD_PRELOAD=str(LIBRARY),
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            DONT_FAKE_MONOTONIC="1",
            **slow,
        ).start()
        runtime.submit()
        runtime.wait_until_all_are_told()
        other = runtime.pod(**slow).start()
        for _ in range(6):
            runtime.submit(steps=30, metadata=self._metadata())  # longer than the way to the next heartbeat
        wait_for(lambda: len(pod.generations) > 1, runtime.story)
        clock.write_text(f"{self._jump}\n")
        runtime.wait_until_all_are_told()
        assert check_endings(runtime) == 0
        assert len(pod.generations) + len(other.generations) == len(runtime.asked)
        if self._table:
            assert {runtime.record(notice["job"]).claims for notice in runtime.heard} == {1}
        assert all(one.agent.is_alive and not one.agent.exits for one in (pod, other))
        logged = [json.loads(line)["time"] for line in pod.log.splitlines() if line.startswith("{")]
        return datetime.fromisoformat(logged[-1]) - datetime.now(UTC)

    def _metadata(self):
        if self._start_s is None:
            return {}
        # As the door says when it took a task in.
        return {"submitted_at": datetime.now(UTC).isoformat(), "deadlines": {"start_seconds": self._start_s}}


JUMPS = [Jump(jump, table=table) for jump in ("+2h", "-2h") for table in (True, False)]
SHORT = [Jump("+2h", table=table, start_s=3600) for table in (True, False)]
"""Tasks that must begin within less than the jump."""


@pytest.mark.parametrize("case", [*JUMPS, *SHORT], ids=str)
def test_tasks_end_once_and_no_lease_is_lost_though_an_agents_clock_jumps(endings, case):
    assert abs(endings[case]) > timedelta(hours=1), "the agent's clock did not jump"
