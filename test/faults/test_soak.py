"""Many tasks through the door: each that goes in comes out once, and neither agents nor the servers' disks grow."""

import contextlib
import os
import sys

import pytest

from test.faults.samples import Samples
from test.kit.audit import check_endings
from test.kit.door import Door
from test.kit.tasks import INPUT_PNG, TASKTYPES, content_of, linking_content

LONG_TASKS = int(os.environ.get("FAULTS_TASKS", "2000")) // 2
PODS = 2
WARM_UP_SHARE = 5
"""Of so many tasks one is done before anything is measured."""
DEAD_LINK_EVERY, LINK_EVERY, PAIR_EVERY = 20, 7, 3


@pytest.mark.concurrent
@pytest.mark.skipif(sys.platform != "linux", reason="memory and sockets are read from /proc")
@pytest.mark.parametrize("tasks", [75, pytest.param(LONG_TASKS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("runtime_type", ["sdwebui", "comfyui"])
def test_each_task_that_goes_in_comes_out_once_while_the_agents_memory_and_sockets_stay_flat(kit, runtime_type, tasks):
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
        every_s = 0.2 + tasks / 1000
        samples = [stack.enter_context(contextlib.closing(Samples(pod.agent.pid, every_s))) for pod in pods]
        door.submit_all(submissions[warm_up:])
        rig.wait_until_all_are_notified(timeout_s=600)
        stack.close()
        assert check_endings(rig, failed=failed) == 0
        assert len(rig.received) == len(rig.submitted) == tasks
        assert rig.dead_letters() == []
        assert all(pod.agent.is_alive and not pod.agent.exits for pod in pods)
        if runtime_type == "comfyui":
            rig.until(lambda: not any(pod.model.left_behind for pod in pods))
        tables = "\n".join(one.table() for one in samples)
        assert [one.growth() for one in samples] == [[]] * PODS, tables
        return f"{tasks} tasks, of which {len(failed)} must fail: each told once\n{tables}"


def order(number, rig):
    """A task's id, how many pictures it is to have, its content with metadata, and whether it must fail."""
    fails, with_link = number % DEAD_LINK_EVERY == 3, number % LINK_EVERY == 1
    pictures = 2 if number % PAIR_EVERY == 0 else 1
    content, tasktype = content_of(rig.type, seed=number, pictures=pictures), TASKTYPES[rig.type]
    if fails or with_link:
        content = linking_content(rig.type, f"s3://{rig.bucket}/in/{'none' if fails else 'in'}.png", seed=number)
        tasktype = "pipeline" if rig.type == "comfyui" else "image-to-image"
        pictures = 1
    return f"soak-{number}", pictures, (content, {"tasktype": tasktype}), fails
