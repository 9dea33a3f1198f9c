"""Many tasks go through the door: each ends once, and neither agents nor the servers' disks grow."""

import contextlib
import os
import statistics
import sys
import threading
from pathlib import Path

import pytest

from test.kit.audit import check_endings
from test.kit.door import Door
from test.kit.tasks import INPUT_PNG, TASKTYPES, content_of, linking_content

LONG_TASKS = int(os.environ.get("FAULTS_TASKS", "2000")) // 2
PODS = 2
WARM_UP_SHARE = 5
"""One in this many tasks is done before the measurement."""
DEAD_LINK_EVERY, LINK_EVERY, PAIR_EVERY = 20, 7, 3


class Samples(threading.Thread):
    """Samples a process's memory in MB, open files and sockets until the context ends."""

    def __init__(self, pid, every_s):
        super().__init__(name="samples", daemon=True)
        self._folder = Path(f"/proc/{pid}")
        self._every_s = every_s
        self._over = threading.Event()
        self._samples = []

    def run(self):
        while not self._over.wait(self._every_s):
            (memory,) = (line for line in (self._folder / "status").read_text().splitlines() if "VmRSS:" in line)
            targets = []
            for link in (self._folder / "fd").iterdir():
                with contextlib.suppress(OSError):  # closed meanwhile
                    targets.append(str(link.readlink()))
            sockets = sum(target.startswith("socket:") for target in targets)
            self._samples.append((int(memory.split()[1]) / 1024, len(targets), sockets))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join(10)

    def quarters(self):
        """Medians of each quarter of the samples."""
        size = len(self._samples) // 4
        assert size, "too few samples"
        parts = (self._samples[start : start + size] for start in range(0, 4 * size, size))
        return [tuple(map(statistics.median, zip(*part, strict=True))) for part in parts]


def has_grown(quarters):
    """Whether a process uses more in the last quarter than in the second.

    The limits allow for kept connections, whose number grows at moments with more calls.
    """
    (memory_mb, files, sockets), last = quarters[1], quarters[3]
    return any(now > limit for now, limit in zip(last, (1.05 * memory_mb + 5, files + 8, sockets + 8), strict=True))


@pytest.mark.concurrent
@pytest.mark.skipif(sys.platform != "linux", reason="memory and sockets are read from /proc")
@pytest.mark.parametrize("tasks", [75, pytest.param(LONG_TASKS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("runtime_type", ["sdwebui", "comfyui"])
def test_each_task_ends_once_while_the_memory_and_sockets_of_agents_stay_flat(kit, runtime_type, tasks):
    with kit.rig(runtime_type) as rig, contextlib.ExitStack() as stack:
        door = Door(rig)
        rig.upload("in/in.png", INPUT_PNG)
        orders = [order(number, rig) for number in range(tasks)]
        failed = {task_id for task_id, _, _, fails in orders if fails}
        rig.submitted |= {task_id: pictures for task_id, pictures, _, _ in orders}
        submissions = [(task_id, *content) for task_id, _, content, _ in orders]
        pods = [rig.add_pod(step_s=0.02).start() for _ in range(PODS)]
        warm_up = tasks // WARM_UP_SHARE
        door.submit_all(submissions[:warm_up])
        rig.wait_until_all_are_notified([task_id for task_id, *_ in submissions[:warm_up]], timeout_s=600)
        samples = [stack.enter_context(Samples(pod.agent.pid, 0.2 + tasks / 1000)) for pod in pods]
        door.submit_all(submissions[warm_up:])
        rig.wait_until_all_are_notified(timeout_s=600)
        stack.close()
        assert check_endings(rig, failed=failed) == 0
        assert len(rig.received) == len(rig.submitted) == tasks
        assert rig.dead_letters() == []
        assert all(pod.agent.is_alive and not pod.agent.exits for pod in pods)
        if runtime_type == "comfyui":
            rig.until(lambda: not any(pod.model.left_behind for pod in pods))
        measured = [one.quarters() for one in samples]
        assert not any(map(has_grown, measured)), measured
        return f"{tasks} tasks, of which {len(failed)} must fail: each has one notice; {measured}"


def order(number, rig):
    """A task's id, its number of pictures, its content with metadata, and whether it must fail."""
    fails, with_link = number % DEAD_LINK_EVERY == 3, number % LINK_EVERY == 1
    pictures = 2 if number % PAIR_EVERY == 0 else 1
    content, tasktype = content_of(rig.type, seed=number, pictures=pictures), TASKTYPES[rig.type]
    if fails or with_link:
        content = linking_content(rig.type, f"s3://{rig.bucket}/in/{'none' if fails else 'in'}.png", seed=number)
        tasktype = "pipeline" if rig.type == "comfyui" else "image-to-image"
        pictures = 1
    return f"soak-{number}", pictures, (content, {"tasktype": tasktype}), fails
