"""SIGTERM at every stage: the agent exits with 0 within its grace, loses no task, and draws none twice without need."""

import signal
from fnmatch import fnmatchcase
from typing import NamedTuple

import pytest

from test.kit.actions import CLAIM, FINISH, NOTIFIED, delay, hang
from test.kit.audit import check_endings
from test.kit.proxy import Action
from test.kit.rig import SHORT_VISIBILITY_S

pytestmark = pytest.mark.concurrent

GRACE_S = 6
LONG_GRACE_S = 600
"""Longer than any test waits: an agent that still exits has not waited for it."""
STEP_S = 0.1
SLOW = delay(1.5)
MAX_BATCH = 4
"""The FLUX server's default."""
PICTURE, MANIFEST = ("s3:PutObject", "*.png"), ("s3:PutObject", "*.out")
INPUT = ("s3:GetObject", "*/in/*")
PUBLISH, DELETE = ("sns:Publish*", "*"), ("sqs:DeleteMessage*", "*")
CLAIMING, FINISHING, MARKING = (("dynamodb:UpdateItem", path) for path in (CLAIM, FINISH, NOTIFIED))


class Stop(NamedTuple):
    """A stage of a task at which SIGTERM comes, and the expected state then."""

    name: str
    type: str = "sdwebui"
    during: tuple[str, str] | None = None
    """The call during which it comes, with the pattern of its path; None means during drawing."""
    action: Action = SLOW
    """What delays the call."""
    steps: int = 1
    tasks: int = 1
    grace_s: float = LONG_GRACE_S
    notified: int = 0
    """How many tasks at least have notices, and are deleted, before the agent exits."""
    generations: int = 0
    """How many drawings beyond one per task are allowed."""
    second_notices: int = 0
    undeleted: int = 0
    """How many tasks with a notice stay in the queue."""

    def __str__(self):
        return f"{self.type} {self.name}"


def drawing_stops(of):
    """Stages that depend on the type of model server."""
    return [
        Stop("running", of, steps=20, notified=1),
        Stop("running for longer than the grace", of, steps=90, grace_s=GRACE_S, generations=1),
        Stop("storing pictures", of, PICTURE, notified=1),
        Stop("storing with a full line behind", of, PICTURE, steps=5, tasks=6, notified=1),
    ]


def other_stops(of):
    """The other stages of a task."""
    return [
        Stop("claiming", of, CLAIMING),
        Stop("preparing", of, INPUT, hang()),
        Stop("storing the manifest", of, MANIFEST, notified=1),
        Stop("finishing", of, FINISHING, notified=1),
        Stop("notifying", of, PUBLISH, notified=1),
        Stop("marking as notified", of, MARKING, notified=1),
        Stop("deleting", of, DELETE, notified=1),
    ]


STOPS = [
    *drawing_stops("sdwebui"),
    *other_stops("sdwebui"),
    Stop("claiming while DynamoDB hangs", during=CLAIMING, action=hang()),
    Stop("storing while S3 hangs", during=PICTURE, action=hang(), grace_s=GRACE_S, generations=1),
    Stop("finishing while DynamoDB hangs", during=FINISHING, action=hang(), grace_s=GRACE_S),
    Stop("notifying while SNS hangs", during=PUBLISH, action=hang(), grace_s=GRACE_S),
    Stop("deleting while SQS hangs", during=DELETE, action=hang(), grace_s=GRACE_S, undeleted=1),
    Stop("marking while DynamoDB hangs", during=MARKING, action=hang(), grace_s=GRACE_S, second_notices=1, undeleted=1),
]
LONG_STOPS = [*drawing_stops("comfyui"), *drawing_stops("flux"), *other_stops("flux")]


@pytest.mark.parametrize("stop", [*STOPS, *(pytest.param(one, marks=pytest.mark.slow) for one in LONG_STOPS)], ids=str)
def test_an_agent_stopped_while_it_is(kit, stop):
    with kit.rig(stop.type, visibility_s=SHORT_VISIBILITY_S) as rig:
        pod = rig.add_pod(SHUTDOWN_GRACE_S=str(stop.grace_s), step_s=STEP_S)
        rule = pod.aws.rule(stop.during[0], stop.action, path=stop.during[1], times=1) if stop.during else None
        for number in range(stop.tasks):
            if stop.name == "preparing":
                rig.submit_with_link(number)
            else:
                rig.submit(steps=stop.steps, seed=number)
        pod.start()
        rig.until(lambda: rule.hits if rule else pod.generations)
        assert pod.agent.terminate() == 0, pod.log[-3000:]
        waiting, in_flight = rig.depth()
        notified = len(rig.listen())
        pod.aws.lift()
        pod.agent.start()
        rig.wait_until_all_are_notified()
        assert notified >= stop.notified
        assert waiting + in_flight == stop.tasks - notified + stop.undeleted
        # SQS may be delivering a message at this moment, or a batch of them; they come again later.
        handed_out = (MAX_BATCH if stop.type == "flux" else 1) if stop.tasks > 1 else 0
        assert in_flight <= handed_out + stop.undeleted, "what was not done is released at once"
        assert check_endings(rig) <= stop.second_notices
        assert len(pod.generations) <= stop.tasks + stop.generations


_STEPS = 10


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("runtime_type", ["comfyui", "flux", "sdwebui"])
def test_a_task_that_waits_in_the_server_or_the_agent_at_sigterm_is_released_and_drawn_once(kit, runtime_type, ends):
    """The task before it can end within the grace, or cannot.

    It is held before its second-to-last step: near its end, the agent takes the next task, but the server has not
    given it to its worker yet. It continues when the waiting one is released, or only after the agent's end.
    """
    with kit.rig(runtime_type, visibility_s=SHORT_VISIBILITY_S) as rig:
        pod = rig.add_pod(SHUTDOWN_GRACE_S=str(LONG_GRACE_S if ends else GRACE_S), step_s=STEP_S).start()
        rig.submit(steps=_STEPS, seed=1)  # teaches the agent how long such a job takes
        rig.wait_until_all_are_notified()
        pod.model.hold(_STEPS - 1)
        rig.submit(steps=_STEPS, seed=2)
        rig.until(lambda: len(pod.generations) == 2)
        rig.submit(steps=_STEPS, seed=3)
        rig.until(lambda: _has_claimed(pod, 3) if runtime_type == "sdwebui" else pod.model.waiting)
        pod.agent.send(signal.SIGTERM)
        if ends:
            rig.until(lambda: rig.depth()[0] == 1)
            pod.model.hold(0)
        assert pod.agent.wait() == 0
        begun = pod.generations
        assert len(begun) == 2, "it had begun"
        waiting = [] if runtime_type == "sdwebui" else pod.model.waiting
        assert [*waiting, *(one["id"] for one in begun if one["outcome"] == "running")] == []
        waiting, in_flight = rig.depth()
        assert waiting + in_flight == (1 if ends else 2)
        assert in_flight <= 1, "what SQS may be handing out in that very moment"
        assert len(rig.listen()) == (2 if ends else 1)
        pod.model.hold(0)
        pod.agent.start()
        rig.wait_until_all_are_notified()
        assert check_endings(rig) == 0
        assert len(pod.generations) == (3 if ends else 4)


def _has_claimed(pod, tasks):
    claims = [call for call in pod.aws.came if fnmatchcase(call.path, CLAIM)]
    return len(claims) == tasks and claims[-1] not in pod.aws.under_way


def test_a_drawn_task_is_stored_after_sigterm_even_if_its_job_should_have_taken_longer_than_the_grace(kit):
    with kit.rig("sdwebui") as rig:
        pod = rig.add_pod(SHUTDOWN_GRACE_S=str(GRACE_S), step_s=0.6).start()
        rig.submit(steps=14)
        rig.wait_until_all_are_notified()
        pod.model.faults(step_s=0)
        rule = pod.aws.rule(PICTURE[0], SLOW, path=PICTURE[1], times=1)
        rig.submit(steps=14)
        rig.until(lambda: rule.hits)
        assert pod.agent.terminate() == 0
        pod.agent.start()
        rig.wait_until_all_are_notified()
        assert check_endings(rig) == 0
        assert len(pod.generations) == 2
