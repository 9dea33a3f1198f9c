"""Agents are killed at random and at each moment; no task is lost, and none has two sets of pictures."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from test.faults.storms import run_storm
from test.kit.actions import CLAIM, FINISH, NOTIFIED, RENEW, cut
from test.kit.audit import check_endings
from test.kit.rig import SHORT_VISIBILITY_S

pytestmark = pytest.mark.concurrent

LONG_KILLS = int(os.environ.get("FAULTS_KILLS", "1000"))
TYPES = ("sdwebui", "comfyui", "flux")
SECOND_NOTICES_PER_BLOW = 0.1
"""A kill counts as one blow, or as one for each possible job of a batch."""


@pytest.mark.parametrize("kills", [30, pytest.param(LONG_KILLS, marks=pytest.mark.slow)])
def test_each_task_has_one_set_of_pictures_and_a_notice_though_agents_and_servers_are_killed(kit, kills):
    with ThreadPoolExecutor(len(TYPES), thread_name_prefix="storm") as pool:
        storms = list(pool.map(partial(run_storm, kit, kills // len(TYPES)), TYPES))
    for storm in storms:
        assert storm.exits == {-signal.SIGKILL}, "an agent ended by itself"
    seconds, blows = sum(one.second_notices for one in storms), sum(one.blows for one in storms)
    assert seconds <= SECOND_NOTICES_PER_BLOW * blows, f"{seconds} second notices after {blows} blows"
    return "\n".join([f"seed {kit.seed}", *map(str, storms)])


UPDATE = "dynamodb:UpdateItem"
MOMENTS = {
    # The call, and the numbers of generations and of second notices after a kill before the call and after it.
    "ReceiveMessage": ("sqs:ReceiveMessage", "*", None, (1, 0)),
    "claim": (UPDATE, CLAIM, (2, 0), (2, 0)),
    "ChangeMessageVisibility": ("sqs:ChangeMessageVisibility", "*", (2, 0), None),
    "renewal": (UPDATE, RENEW, (2, 0), (2, 0)),
    "picture": ("s3:PutObject", "*.png", (2, 0), (2, 0)),
    "manifest": ("s3:PutObject", "*.out", (2, 0), (1, 0)),
    "finish": (UPDATE, FINISH, (1, 0), (1, 0)),
    "Publish": ("sns:Publish", "*", (1, 0), (1, 1)),
    "the mark of the notice": (UPDATE, NOTIFIED, (1, 1), (1, 0)),
    "DeleteMessage": ("sqs:DeleteMessage*", "*", (1, 0), (1, 0)),
}


@pytest.mark.parametrize(
    ("moment", "after"),
    [(name, after) for name, (_, _, *outcomes) in MOMENTS.items() for after in (False, True) if outcomes[after]],
)
def test_a_task_whose_agent_is_killed_at_this_moment_ends_once_and_is_drawn_again_only_if_nothing_was_stored(
    kit, moment, after
):
    call, path, *outcomes = MOMENTS[moment]
    generations, second_notices = outcomes[after]
    with kit.rig("sdwebui", visibility_s=SHORT_VISIBILITY_S) as rig:
        pod = rig.add_pod(step_s=0.05)
        rule = pod.aws.rule(
            call, cut(partial(pod.agent.send, signal.SIGKILL), after_forwarding=after), path=path, times=1
        )
        rig.submit(steps=30)
        pod.start().keep_alive()
        rig.wait_until_all_are_notified()
        assert rule.hits == 1
        rig.until(lambda: pod.agent.exits)
        assert pod.agent.exits == [-signal.SIGKILL]
        assert check_endings(rig) == second_notices
        assert len(pod.generations) <= generations
