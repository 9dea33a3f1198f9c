"""The disk is full, even for log lines; the agent needs no disk and continues."""

import signal
from pathlib import Path

import pytest

from test.kit.audit import check_endings

FULL = Path("/dev/full")
NO_FILE_GROWS = ("sh", "-c", 'ulimit -f 0 && exec "$@"', "sh")
NOWHERE = {"HOME": "/nowhere", "TMPDIR": "/nowhere", "LOGLEVEL": "DEBUG", "SHUTDOWN_GRACE_S": "600"}


@pytest.mark.concurrent
@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("runtime_type", ["sdwebui", "comfyui"])
def test_tasks_end_and_the_agent_exits_with_0_even_if_the_disk_and_its_log_are_full(kit, runtime_type):
    with kit.rig(runtime_type) as rig:
        pod = rig.add_pod(agent={"wrapper": NO_FILE_GROWS, "log": FULL}, step_s=0.1, **NOWHERE)
        pod.start_server()
        pod.model.faults(fail_jobs=1)
        for number in range(3):
            rig.submit_with_link(number)
        pod.agent.start()
        rig.wait_until_all_are_notified()
        (failed,) = [notice["id"] for notice in rig.received if not notice["result"]]
        pod.model.hold(15)
        rig.submit(steps=15)
        rig.until(lambda: any(one["outcome"] == "running" for one in pod.generations))
        pod.agent.send(signal.SIGTERM)
        pod.model.hold(0)
        assert pod.agent.wait() == 0
        rig.wait_until_all_are_notified()
        assert check_endings(rig, failed=[failed]) == 0
