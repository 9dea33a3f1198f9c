"""No byte can be written to a disk, not even a log line; the agent writes none and works on."""

import contextlib
import signal
from pathlib import Path

import pytest
from faultkit.audit import check_endings
from faultkit.beds import task_of
from faultkit.lanes import Case
from faultkit.processes import wait_for

FULL = Path("/dev/full")
NO_FILE_GROWS = ("sh", "-c", 'ulimit -f 0 && exec "$@"', "sh")
GRACE_S = "6"


class FullDisk(Case):
    """An agent that can write nowhere, and a task that has inputs, one that fails and one that runs at the end."""

    @contextlib.contextmanager
    def bed(self, kit):
        with kit.runtime(self.name) as runtime:
            yield runtime, kit.input_png

    def run(self, bed):
        runtime, image = bed
        nowhere = {"HOME": "/nowhere", "TMPDIR": "/nowhere", "LOGLEVEL": "DEBUG", "SHUTDOWN_GRACE_S": GRACE_S}
        pod = runtime.pod(wrapper=NO_FILE_GROWS, agent_log=FULL, step_s=0.1, **nowhere).start()
        for number in range(3):
            content, metadata = task_of(runtime, "link", number, image)
            runtime.submit(content=content, metadata=metadata)
        pod.faults(fail_jobs=1)
        runtime.wait_until_all_are_told()
        failed = [notice["id"] for notice in runtime.heard if not notice["result"]]
        pod.model.hold(15)
        runtime.submit(steps=15)
        wait_for(lambda: any(one["outcome"] == "running" for one in pod.generations), runtime.story)
        pod.agent.send(signal.SIGTERM)
        pod.model.hold(0)
        status = pod.agent.wait(30)
        runtime.wait_until_all_are_told()
        return status, len(failed), check_endings(runtime, failed=failed)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("case", [FullDisk("sdwebui"), FullDisk("comfyui")], ids=str)
def test_tasks_end_and_the_agent_exits_with_0_though_the_disk_and_its_log_are_full(endings, case):
    assert endings[case] == (0, 1, 0)
