"""SIGTERM at every stage: the agent exits with 0 within its grace, loses no task, and none is drawn twice in vain."""

import contextlib
import time
from functools import partial
from pathlib import Path

import pytest
from faultkit.acts import delay, hang
from faultkit.audit import check_endings
from faultkit.aws import CLAIM, FINISH, NOTIFIED
from faultkit.beds import task_of
from faultkit.lanes import Case
from faultkit.processes import wait_for

INPUT = Path(__file__).parents[1] / "input.png"
GRACE_S = 6
MARGIN_S = 8
"""For an agent to end after its grace: last calls, closing of clients."""
LATE_S = GRACE_S + MARGIN_S
STORING_S = 10
"""What is drawn when the grace is over is still stored and told for so long."""
HANGING_S = LATE_S + STORING_S
STEP_S = 0.1
SLOW_S = 1.5
AT_ONCE_S = 4
MAX_BATCH = 4
"""The FLUX server's default."""


class Stop(Case):
    """A stage in which SIGTERM comes.

    Args:
        name: The stage.
        runtime_type: Of the server.
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
        runtime_type="sdwebui",
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
        super().__init__(f"{runtime_type} {name}")
        self.type = runtime_type
        self.kind = "link" if name == "preparing" else "draw"
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
        return kit.runtime(self.type)

    def run(self, bed):
        return Stopped(self, bed)


PICTURE, MANIFEST = ("s3:PutObject", "*.png"), ("s3:PutObject", "*.out")
PUBLISH, DELETE = ("sns:Publish*", "*"), ("sqs:DeleteMessage*", "*")
CLAIMING, FINISHING, MARKING = (("dynamodb:UpdateItem", path) for path in (CLAIM, FINISH, NOTIFIED))


def drawing_stops(runtime_type):
    """Stages in which it matters what the model server is."""
    stop = partial(Stop, runtime_type=runtime_type)
    yield stop("running", steps=20, told=1)
    yield stop("running for longer than the grace", steps=90, generations=1)
    yield stop("storing pictures", slow=PICTURE, told=1)
    # As many messages as the agent asks for at once: those of a batch.
    handed_out = MAX_BATCH if runtime_type == "flux" else 1
    yield stop("storing with a full line behind", slow=PICTURE, steps=5, tasks=6, told=1, handed_out=handed_out)


def other_stops(runtime_type):
    """The other stages of a task."""
    stop = partial(Stop, runtime_type=runtime_type)
    yield stop("claiming", slow=CLAIMING, exits_within_s=AT_ONCE_S)
    yield stop("preparing", slow=("s3:GetObject", "*/in/*"), act=hang(), exits_within_s=AT_ONCE_S)
    yield stop("storing the manifest", slow=MANIFEST, told=1)
    yield stop("finishing", slow=FINISHING, told=1)
    yield stop("notifying", slow=PUBLISH, told=1)
    yield stop("marking as notified", slow=MARKING, told=1)
    yield stop("deleting", slow=DELETE, told=1)


STOPS = [
    *drawing_stops("sdwebui"),
    *other_stops("sdwebui"),
    Stop("running with another task waiting", steps=20, tasks=2, told=1),
    Stop("claiming while DynamoDB hangs", slow=CLAIMING, act=hang(), exits_within_s=AT_ONCE_S + 2),
    Stop("storing while S3 hangs", slow=PICTURE, act=hang(), exits_within_s=HANGING_S, generations=1),
    Stop("finishing while DynamoDB hangs", slow=FINISHING, act=hang(), exits_within_s=HANGING_S),
    Stop("notifying while SNS hangs", slow=PUBLISH, act=hang(), exits_within_s=HANGING_S),
    Stop("deleting while SQS hangs", slow=DELETE, act=hang(), exits_within_s=HANGING_S, undeleted=1),
    Stop(
        "marking while DynamoDB hangs",
        slow=MARKING,
        act=hang(),
        exits_within_s=HANGING_S,
        second_notices=1,
        undeleted=1,
    ),
]


LONG_STOPS = [*drawing_stops("comfyui"), *drawing_stops("flux"), *other_stops("flux")]


class Stopped:
    """What became of an agent that was stopped in a stage."""

    def __init__(self, stop, runtime):
        self.runtime = runtime
        self.pod = runtime.pod(SHUTDOWN_GRACE_S=str(GRACE_S), step_s=STEP_S)
        rule = self.pod.aws.rule(stop.slow[0], stop.act, path=stop.slow[1], times=1) if stop.slow else None
        for number in range(stop.tasks):
            self._submit(stop, number)
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

    def _submit(self, stop, number):
        if stop.kind == "link":
            content, metadata = task_of(self.runtime, "link", number, INPUT.read_bytes())
            self.runtime.submit(content=content, metadata=metadata)
        else:
            self.runtime.submit(steps=stop.steps, seed=number)

    def _wait_for_the_line(self, stop):
        """Let the agent take a second task early, if it does so before the first one has run for half its time."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: self.runtime.depth()[1] > 1, "two tasks held", stop.steps * STEP_S / 2)


@pytest.mark.parametrize("case", [*STOPS, *(pytest.param(one, marks=pytest.mark.slow) for one in LONG_STOPS)], ids=str)
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


class Behind(Case):
    """A job that waits in the server's own queue, behind one that can be finished within the grace or cannot."""

    def __init__(self, runtime_type, grace_s):
        ending = "ends within" if grace_s == GRACE_S else "is longer than"
        super().__init__(f"{runtime_type} behind one that {ending} the grace")
        self._type = runtime_type
        self.grace_s = grace_s

    def bed(self, kit):
        return kit.runtime(self._type)

    def run(self, bed):
        steps, step_s = (4, 1) if self._type == "flux" else (24, STEP_S)
        pod = bed.pod(SHUTDOWN_GRACE_S=str(self.grace_s), step_s=step_s).start()
        bed.submit(steps=steps, seed=1)  # from which the agent learns how long such a job takes
        bed.wait_until_all_are_told()
        bed.submit(steps=steps, seed=2)
        wait_for(lambda: len(pod.generations) == 2, bed.story)
        bed.submit(steps=steps, seed=3)
        if self._type == "comfyui":
            # The agent takes the next one a moment before it expects the end; let that moment be longer.
            time.sleep(steps * step_s / 2)
            pod.faults(step_s=2 * step_s)
        wait_for(lambda: pod.model.waiting, bed.story, every_s=0.01)
        begun = len(pod.generations)
        status = pod.agent.terminate(GRACE_S + 20)
        left = [*pod.model.waiting, *(one["id"] for one in pod.generations if one["outcome"] == "running")]
        depth, told = bed.depth(), len(bed.listen())
        pod.agent.start()
        bed.wait_until_all_are_told()
        assert begun == 2, "it had begun"
        return status, left, depth, told, check_endings(bed), len(pod.generations)


BEHIND = [Behind(one, grace_s) for one in ("comfyui", "flux") for grace_s in (GRACE_S, 0.1)]


@pytest.mark.parametrize("case", BEHIND, ids=str)
def test_a_task_that_waits_in_the_servers_queue_at_sigterm_is_taken_out_given_back_and_drawn_once(endings, case):
    status, left, depth, told, second_notices, generations = endings[case]
    finished = int(case.grace_s == GRACE_S)
    assert (status, left, second_notices) == (0, [], 0)
    assert (depth, told) == ((2 - finished, 0), 1 + finished)
    assert generations == 4 - finished


class Surprise(Case):
    """A job that is over long before the agent expects it, and is being stored when SIGTERM comes."""

    def bed(self, kit):
        return kit.runtime("sdwebui")

    def run(self, bed):
        pod = bed.pod(SHUTDOWN_GRACE_S=str(GRACE_S), step_s=0.6).start()
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
