"""Many tasks through the door: each that goes in comes out once, and neither agents nor the servers' disks grow."""

import contextlib
import os
import sys

import pytest
from faultkit.audit import check_endings
from faultkit.door import Door
from faultkit.lanes import Case
from faultkit.processes import wait_for
from faultkit.runtime import TASKTYPES, content_of
from faultkit.samples import Samples

SHORT_TASKS, LONG_TASKS = 150, int(os.environ.get("FAULTS_TASKS", "2000"))
TYPES = ("sdwebui", "comfyui")
PODS = 2
TOLD_WITHIN_S = 600
WARM_UP_SHARE = 5
"""Of so many tasks one is done before anything is measured."""
DEAD_LINK_EVERY, LINK_EVERY, PAIR_EVERY = 20, 7, 3


class Soak(Case):
    """A share of all tasks, on one type of server."""

    def __init__(self, runtime_type, tasks):
        super().__init__(f"{runtime_type}, {tasks} tasks")
        self._type = runtime_type
        self._tasks = tasks

    @contextlib.contextmanager
    def bed(self, kit):
        # Long enough for no lease to end on a busy machine.
        with kit.runtime(self._type, visibility_s=30) as runtime, contextlib.closing(Door(runtime)) as door:
            door.open()
            yield runtime, door, runtime.upload("in/in.png", kit.input_png)

    def run(self, bed):
        runtime, door, link = bed
        orders = [self._order(number, link, runtime.bucket) for number in range(self._tasks)]
        failed = {task_id for task_id, _, _, fails in orders if fails}
        runtime.asked |= {task_id: pictures for task_id, pictures, _, _ in orders}
        pods = [runtime.pod(step_s=0.02).start() for _ in range(PODS)]
        submissions = [(task_id, *content) for task_id, _, content, _ in orders]
        warm_up = self._tasks // WARM_UP_SHARE
        door.submit_all(submissions[:warm_up])
        runtime.wait_until_all_are_told(TOLD_WITHIN_S, tasks=[task_id for task_id, *_ in submissions[:warm_up]])
        with contextlib.ExitStack() as stack:
            every_s = 0.2 + self._tasks / 1000
            samples = [stack.enter_context(contextlib.closing(Samples(pod.agent.pid, every_s))) for pod in pods]
            door.submit_all(submissions[warm_up:])
            runtime.wait_until_all_are_told(TOLD_WITHIN_S)
        assert check_endings(runtime, failed=failed) == 0
        assert len(runtime.heard) == len(runtime.asked) == self._tasks
        assert runtime.dead_letters() == []
        assert all(pod.agent.is_alive and not pod.agent.exits for pod in pods)
        if self._type == "comfyui":
            wait_for(
                lambda: not any(pod.model.left_behind for pod in pods), lambda: [p.model.left_behind for p in pods]
            )
        return samples, len(failed)

    def _order(self, number, link, bucket):
        """A task's id, how many pictures it is to have, its content with metadata, and whether it must fail."""
        fails, with_link = number % DEAD_LINK_EVERY == 3, number % LINK_EVERY == 1
        pictures = 2 if number % PAIR_EVERY == 0 else 1
        content, metadata = content_of(self._type, seed=number, pictures=pictures), {}
        if fails or with_link:
            source = f"s3://{bucket}/in/none.png" if fails else link
            if self._type == "sdwebui":
                content["init_images"], metadata = [source], {"tasktype": "image-to-image"}
            else:
                loaded = {"class_type": "LoadImage", "inputs": {"image": source}}
                saved = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"x{number}"}}
                content, pictures = {"1": loaded, "2": saved}, 1
        else:
            metadata = {"tasktype": TASKTYPES[self._type]}
        return f"soak-{number}", pictures, (content, metadata), fails


def soaks(tasks):
    return [Soak(runtime_type, tasks // len(TYPES)) for runtime_type in TYPES]


CASES = [*soaks(SHORT_TASKS), *(pytest.param(one, marks=pytest.mark.slow) for one in soaks(LONG_TASKS))]


@pytest.mark.skipif(sys.platform != "linux", reason="memory and sockets are read from /proc")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_task_that_goes_in_comes_out_once_while_the_agents_memory_and_sockets_stay_flat(endings, case):
    samples, failed = endings[case]
    print(f"{case}, of which {failed} must fail: all told once, no message, object or record too many")
    for number, one in enumerate(samples):
        print(f"agent {number}\n{one.table()}")
    assert [list(one.growth()) for one in samples] == [[]] * PODS
