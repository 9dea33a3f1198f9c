"""SIGTERM at every stage: the agent exits with 0 within its grace, loses no task, and none is drawn twice in vain."""

import contextlib
import signal
import time
from fnmatch import fnmatchcase
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
LONG_GRACE_S, AT_ONCE_S = 30, 10
"""Who is gone so soon has not waited for the end of so long a grace."""
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
        at_once: Whether it must be gone without waiting for a grace, here a long one.
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
        at_once=False,
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
        self.exits_within_s = AT_ONCE_S if at_once else exits_within_s
        self.grace_s = LONG_GRACE_S if at_once else GRACE_S
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
    yield stop("claiming", slow=CLAIMING, at_once=True)
    yield stop("preparing", slow=("s3:GetObject", "*/in/*"), act=hang(), at_once=True)
    yield stop("storing the manifest", slow=MANIFEST, told=1)
    yield stop("finishing", slow=FINISHING, told=1)
    yield stop("notifying", slow=PUBLISH, told=1)
    yield stop("marking as notified", slow=MARKING, told=1)
    yield stop("deleting", slow=DELETE, told=1)


STOPS = [
    *drawing_stops("sdwebui"),
    *other_stops("sdwebui"),
    Stop("claiming while DynamoDB hangs", slow=CLAIMING, act=hang(), at_once=True),
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
        self.pod = runtime.pod(SHUTDOWN_GRACE_S=str(stop.grace_s), step_s=STEP_S)
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
        self.status = self.pod.agent.terminate(stop.grace_s + 20)
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
    """A job that waits in the server's own queue, behind one that can be finished within the grace or cannot.

    The running one is held before its last but one step: so near its end the agent takes the next one, and the server
    has not yet given that to its worker. It goes on once the waiting one is given back, or not before the agent's end.
    """

    _STEPS = 10

    def __init__(self, runtime_type, *, ends):
        super().__init__(f"{runtime_type} behind one that {'ends within' if ends else 'is longer than'} the grace")
        self._type = runtime_type
        self.ends = ends

    def bed(self, kit):
        return kit.runtime(self._type)

    def run(self, bed):
        grace_s = LONG_GRACE_S if self.ends else GRACE_S
        pod = bed.pod(SHUTDOWN_GRACE_S=str(grace_s), step_s=STEP_S).start()
        bed.submit(steps=self._STEPS, seed=1)  # from which the agent learns how long such a job takes
        bed.wait_until_all_are_told()
        pod.model.hold(self._STEPS - 1)
        bed.submit(steps=self._STEPS, seed=2)
        wait_for(lambda: len(pod.generations) == 2, bed.story)
        bed.submit(steps=self._STEPS, seed=3)
        wait_for(lambda: self.waits(pod), bed.story)
        pod.agent.send(signal.SIGTERM)
        if self.ends:
            wait_for(lambda: bed.depth()[0] == 1, bed.story)
            pod.model.hold(0)
        status = pod.agent.wait(grace_s + 20)
        begun = pod.generations
        left = [*self.queued(pod), *(one["id"] for one in begun if one["outcome"] == "running")]
        depth, told = bed.depth(), len(bed.listen())
        pod.model.hold(0)
        pod.agent.start()
        bed.wait_until_all_are_told()
        assert len(begun) == 2, "it had begun"
        return status, left, depth, told, check_endings(bed), len(pod.generations)

    def queued(self, pod):
        """Jobs in the server's own queue."""
        return pod.model.waiting

    def waits(self, pod):
        """Whether the last task has come as far as it can."""
        return self.queued(pod)


class BehindInAgent(Behind):
    """The same before a server that has no queue: what waits, the agent keeps itself."""

    def queued(self, _):
        return ()

    def waits(self, pod):
        claims = [call for call in pod.aws.came if fnmatchcase(call.path, CLAIM)]
        return len(claims) == len(pod.generations) + 1 and claims[-1] not in pod.aws.under_way


BEHIND = [Behind(one, ends=ends) for one in ("comfyui", "flux") for ends in (True, False)]


@pytest.mark.parametrize("case", BEHIND, ids=str)
def test_a_task_that_waits_in_the_servers_queue_at_sigterm_is_taken_out_given_back_and_drawn_once(endings, case):
    status, left, depth, told, second_notices, generations = endings[case]
    assert (status, left, second_notices) == (0, [], 0)
    assert (depth, told) == ((2 - case.ends, 0), 1 + case.ends)
    assert generations == 4 - case.ends


@pytest.mark.parametrize("case", [BehindInAgent("sdwebui", ends=True)], ids=str)
def test_a_task_that_waits_in_the_agent_at_sigterm_is_given_back_at_once_and_drawn_once(endings, case):
    status, left, depth, told, second_notices, generations = endings[case]
    assert (status, left, second_notices) == (0, [], 0)
    assert (depth, told, generations) == ((1, 0), 2, 3)


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
