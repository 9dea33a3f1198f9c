"""The machine's clock jumps while agents work on tasks."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libfaketime
import pytest

from test.kit.audit import check_endings

pytestmark = pytest.mark.concurrent

VISIBILITY_S = 18
"""A slow machine renews its leases in time, too."""
LIBRARY = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


@pytest.mark.parametrize(("jump", "start_s"), [("+2h", None), ("-2h", None), ("+2h", 3600)])
def test_tasks_end_once_and_no_lease_is_lost_even_if_the_clock_of_an_agent_jumps(kit, jump, start_s):
    """The other agent's clock stays right. Deadlines to start, if any, are shorter than the jump."""
    with kit.rig("sdwebui", visibility_s=VISIBILITY_S) as rig:
        clock = kit.folder / f"clock-{rig.name}"
        clock.write_text("+0\n")
        faked = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        pod = rig.add_pod(step_s=0.1, agent={"fresh": True}, **faked).start()
        rig.submit()
        rig.wait_until_all_are_notified()
        other = rig.add_pod(step_s=0.1).start()
        deadlines = {} if start_s is None else {"deadlines": {"start_seconds": start_s}}
        for _ in range(6):
            # Longer than the time between heartbeats.
            rig.submit(steps=70, submitted_at=datetime.now(UTC).isoformat(), **deadlines)
        rig.until(lambda: len(pod.generations) > 1)
        clock.write_text(f"{jump}\n")
        rig.wait_until_all_are_notified()
        assert check_endings(rig) == 0
        assert len(pod.generations) + len(other.generations) == len(rig.submitted)
        assert {rig.record(notice["job"]).claims for notice in rig.received} == {1}
        assert all(one.agent.is_alive and not one.agent.exits for one in (pod, other))
        logged = [json.loads(line)["time"] for line in pod.log.splitlines() if line.startswith("{")]
        assert abs(datetime.fromisoformat(logged[-1]) - datetime.now(UTC)) > timedelta(hours=1), (
            "the clock did not jump"
        )
