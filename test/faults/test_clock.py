"""The machine's clock jumps while tasks are worked on. Needs libfaketime."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faultkit.audit import check_endings
from faultkit.processes import wait_for

PLACES = [
    os.environ.get("LIBFAKETIME", ""),
    *(f"/usr/lib/{machine}/faketime/libfaketime.so.1" for machine in ("x86_64-linux-gnu", "aarch64-linux-gnu")),
    "/usr/lib64/faketime/libfaketime.so.1",
]
LIBRARY = next((place for place in PLACES if place and Path(place).exists()), None)


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (Debian, Ubuntu: apt install libfaketime)")
@pytest.mark.parametrize("jump", ["+2h", "-2h"])
def test_tasks_end_once_though_the_agents_clock_jumps(make_runtime, tmp_path, jump):
    clock = tmp_path / f"clock{jump}"
    clock.write_text("+0\n")
    runtime = make_runtime("sdwebui")
    pod = runtime.pod(
        LD_PRELOAD=LIBRARY,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        DONT_FAKE_MONOTONIC="1",
        server_options=("--step-s", 0.1),
    ).start()
    runtime.submit()
    runtime.wait_until_all_are_told()
    for _ in range(4):
        runtime.submit(steps=30)  # longer than the way to the next heartbeat
    wait_for(lambda: len(pod.generations) > 1, runtime.story)
    clock.write_text(f"{jump}\n")
    runtime.wait_until_all_are_told()
    assert check_endings(runtime) == 0
    assert len(pod.generations) == len(runtime.asked)
    assert pod.agent.is_alive
    assert not pod.agent.exits
    logged = [json.loads(line)["time"] for line in pod.log.splitlines() if line.startswith("{")]
    jumped = datetime.fromisoformat(logged[-1]) - datetime.now(UTC)
    assert abs(jumped) > timedelta(hours=1), "the agent's clock did not jump"
