"""SIGTERM at every stage: the agent exits with 0 within its grace, loses no task, and none is drawn twice in vain."""

import contextlib
import time
from pathlib import Path

import pytest
from faultkit.acts import delay, hang
from faultkit.audit import check_endings
from faultkit.aws import CLAIM, FINISH, NOTIFIED
from faultkit.lanes import Case
from faultkit.processes import wait_for
from faultkit.runtime import TASKTYPES, content_of

INPUT = Path(__file__).parents[1] / "input.png"
GRACE_S = 6
MARGIN_S = 8
"""For an agent to end after its grace: last calls, closing of clients."""
LATE_S = GRACE_S + MARGIN_S
STEP_S = 0.1
SLOW_S = 1.5
AT_ONCE_S = 4


class Stop(Case):
    """A stage in which SIGTERM comes.

    Args:
        name: The stage.
        slow: The call that is slow then, and the pattern of its path; None for none.
        act: In what way it is slow.
        steps: Of each task's drawing.
        tasks: How many there are.
        exits_within_s: How soon the agent must be gone.
        told: How many tasks are told and deleted before it is.
        generations: How many drawings there may be in the end beyond one per task.
        second_notices: How many notices there may be beyond one per task.
        undeleted: How many told tasks are left in the queue.
        handed_out: How many messages SQS may be handing out in the very moment; they come when their visibility ends.
    """

    def __init__(
        self,
        name,
        *,
        slow=None,
        act=None,
        steps=1,
        tasks=1,
        exits_within_s=LATE_S,
        told=0,
        generations=0,
        second_notices=0,
        undeleted=0,
        handed_out=0,
    ):
        super().__init__(name)
        self.slow = slow
        self.act = act or delay(SLOW_S)
        self.steps = steps
        self.tasks = tasks
        self.exits_within_s = exits_within_s
        self.told = told
        self.generations = generations
        self.second_notices = second_notices
        self.undeleted = undeleted
        self.handed_out = handed_out

    def bed(self, kit):
        return kit.runtime("sdwebui")

    def run(self, bed):
        return Stopped(self, bed)


PICTURE, MANIFEST = ("s3:PutObject", "*.png"), ("s3:PutObject", "*.out")
PUBLISH, DELETE = ("sns:Publish*", "*"), ("sqs:DeleteMessage*", "*")
CLAIMING, FINISHING, MARKING = (("dynamodb:UpdateItem", path) for path in (CLAIM, FINISH, NOTIFIED))
STOPS = [
    Stop("claiming", slow=CLAIMING, exits_within_s=AT_ONCE_S),
    Stop("claiming while DynamoDB hangs", slow=CLAIMING, act=hang(), exits_within_s=AT_ONCE_S + 2),
    Stop("preparing", slow=("s3:GetObject", "*/in.png"), act=hang(), exits_within_s=AT_ONCE_S),
    Stop("running", steps=20, told=1),
    Stop("running for longer than the grace", steps=150, generations=1),
    Stop("running with another task waiting", steps=20, tasks=2, told=1),
    Stop("storing pictures", slow=PICTURE, told=1),
    Stop("storing the manifest", slow=MANIFEST, told=1),
    Stop("finishing", slow=FINISHING, told=1),
    Stop("notifying", slow=PUBLISH, told=1),
    Stop("marking as notified", slow=MARKING, told=1),
    Stop("deleting", slow=DELETE, told=1),
    Stop("storing while S3 hangs", slow=PICTURE, act=hang(), generations=1),
    Stop("finishing while DynamoDB hangs", slow=FINISHING, act=hang()),
    Stop("notifying while SNS hangs", slow=PUBLISH, act=hang()),
    Stop("deleting while SQS hangs", slow=DELETE, act=hang(), undeleted=1),
    Stop("marking while DynamoDB hangs", slow=MARKING, act=hang(), second_notices=1, undeleted=1),
    Stop("storing with a full line behind", slow=PICTURE, steps=5, tasks=6, told=1, handed_out=1),
]


class Stopped:
    """What became of an agent that was stopped in a stage."""

    def __init__(self, stop, runtime):
        self.runtime = runtime
        self.pod = runtime.pod(SHUTDOWN_GRACE_S=str(GRACE_S), server_options=("--step-s", STEP_S))
        rule = self.pod.aws.rule(stop.slow[0], stop.act, path=stop.slow[1], times=1) if stop.slow else None
        for _ in range(stop.tasks):
            self._submit(stop)
        self.pod.start()
        if rule:
            wait_for(lambda: rule.hits, lambda: f"{stop}; {runtime.story()}")
        else:
            wait_for(lambda: self.pod.generations, runtime.story)
        if stop.tasks > 1:
            self._wait_for_the_line(stop)
        began_s = time.monotonic()
        self.status = self.pod.agent.terminate(GRACE_S + 20)
        self.exited_after_s = time.monotonic() - began_s
        self.depth = runtime.depth()
        self.told = len(runtime.listen())
        self.pod.aws.lift()
        self.pod.agent.start()
        runtime.wait_until_all_are_told()
        self.generations = len(self.pod.generations)
        self.second_notices = check_endings(runtime)

    def _submit(self, stop):
        content, metadata = content_of("sdwebui", steps=stop.steps), {"tasktype": TASKTYPES["sdwebui"]}
        if stop.name == "preparing":
            content["init_images"] = [self.runtime.upload("in/in.png", INPUT.read_bytes())]
            metadata["tasktype"] = "image-to-image"
        self.runtime.submit(content=content, metadata=metadata)

    def _wait_for_the_line(self, stop):
        """Let the agent take a second task early, if it does so before the first one has run for half its time."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: self.runtime.depth()[1] > 1, "two tasks held", stop.steps * STEP_S / 2)


@pytest.mark.parametrize("case", STOPS, ids=str)
def test_an_agent_stopped_while_it_is(endings, case):
    end = endings[case]
    drawn = end.generations
    took = f"exit {end.status} after {end.exited_after_s:.1f} s"
    print(f"{case}: {took}, queue {end.depth}, {end.told} told, {drawn} drawn")
    assert end.status == 0, end.pod.log[-3000:]
    assert end.exited_after_s < case.exits_within_s
    assert end.told >= case.told
    assert sum(end.depth) == case.tasks - end.told + case.undeleted
    assert end.depth[1] <= case.handed_out, "what was not done is given back at once"
    assert end.second_notices <= case.second_notices
    assert drawn <= case.tasks + case.generations


class Surprise(Case):
    """A job that is over long before the agent expects it, and is being stored when SIGTERM comes."""

    def bed(self, kit):
        return kit.runtime("sdwebui")

    def run(self, bed):
        pod = bed.pod(SHUTDOWN_GRACE_S=str(GRACE_S), server_options=("--step-s", 0.6)).start()
        slow = bed.submit(steps=14)
        bed.wait_until_all_are_told(tasks=[slow])
        pod.faults(step_s=0)
        rule = pod.aws.rule(PICTURE[0], delay(SLOW_S), path=PICTURE[1], times=1)
        bed.submit(steps=14)
        wait_for(lambda: rule.hits, bed.story)
        status = pod.agent.terminate(GRACE_S + 20)
        pod.agent.start()
        bed.wait_until_all_are_told()
        return status, check_endings(bed), len(pod.generations)


@pytest.mark.parametrize("case", [Surprise("surprise")], ids=str)
def test_a_drawn_task_is_stored_after_sigterm_although_its_job_was_expected_to_take_longer_than_the_grace(
    endings, case
):
    assert endings[case] == (0, 0, 2)
