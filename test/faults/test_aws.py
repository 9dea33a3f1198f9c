"""S3, SNS, SQS and DynamoDB fail, throttle, hang and break off at each stage; tasks still end once."""

import random

import pytest

from test.kit.actions import CLAIM, FINISH, NOTIFIED, RENEW, aws_error, delay, half_body, hang, reset, throttled
from test.kit.audit import check_endings
from test.kit.rig import SHORT_VISIBILITY_S

pytestmark = pytest.mark.concurrent

STAGES = {
    "receive": ("sqs:ReceiveMessage", "*"),
    "claim": ("dynamodb:UpdateItem", CLAIM),
    "renew": ("dynamodb:UpdateItem", RENEW),
    "keep hidden": ("sqs:ChangeMessageVisibility*", "*"),
    "fetch input": ("s3:GetObject", "*/in/*"),
    "put picture": ("s3:PutObject", "*.png"),
    "put manifest": ("s3:PutObject", "*.out"),
    "finish": ("dynamodb:UpdateItem", FINISH),
    "publish": ("sns:Publish*", "*"),
    "mark as notified": ("dynamodb:UpdateItem", NOTIFIED),
    "delete": ("sqs:DeleteMessage*", "*"),
}
RENEWALS = {"keep hidden", "renew"}
OUTAGE_S = 8
"""Longer than the AWS library's own retries."""
TROUBLES = {
    "fails": (aws_error(500, "InternalError"), {"times": 2}),
    "is throttled": (throttled(), {"times": 2}),
    "is reset before it is done": (reset(), {"times": 2}),
    "is reset after it is done": (reset(after_forwarding=True), {"times": 1}),
    "answers by half": (half_body(), {"times": 1}),
    "is slow": (delay(3), {"times": 1}),
    "is out for a while": (aws_error(503, "ServiceUnavailable"), {"for_s": OUTAGE_S}),
    "hangs": (hang(), {"times": 1}),
}
SLOW = {"is throttled", "is reset before it is done", "answers by half", "is slow"}
"""Only in ``make soak``, because the library treats them like another trouble."""
SLOW_HANGS = {"fetch input", "put manifest", "finish", "delete"}
"""Also only there, because the agent treats a hanging call like that of another stage."""
SECOND_NOTICES = {
    ("publish", "is reset after it is done"): 1,
    ("publish", "answers by half"): 1,
    ("publish", "hangs"): 1,
    ("publish", "is out for a while"): 1,
    ("mark as notified", "hangs"): 1,
}
"""The agent may notify again here, because it does not know whether SNS got the notice, or that it was sent. It may
also do so if it cannot keep the message hidden: the message comes again before it is deleted."""


def _marks(stage, trouble):
    is_slow = trouble in SLOW or (trouble == "hangs" and stage in SLOW_HANGS)
    return [pytest.mark.slow] if is_slow else []


FAULTS = [
    pytest.param(stage, trouble, marks=_marks(stage, trouble), id=f"{stage} {trouble}")
    for trouble in reversed(TROUBLES)
    for stage in STAGES
]


@pytest.mark.parametrize(("stage", "trouble"), FAULTS)
def test_a_task_ends_once_though_a_call_to_aws(kit, stage, trouble):
    calls, path = STAGES[stage]
    action, options = TROUBLES[trouble]
    with kit.rig("sdwebui", visibility_s=SHORT_VISIBILITY_S) as rig:
        pod = rig.add_pod(step_s=0.1)
        rule = pod.aws.rule(calls, action, path=path, **options)
        pod.start()
        if stage == "fetch input":
            rig.submit_with_link()
        else:
            # Long enough for a renewal of the lease, if that is the stage.
            rig.submit(steps=25 if stage in RENEWALS else 1, pictures=2)
        rig.wait_until_all_are_notified()
        assert rule.hits
        assert pod.agent.is_alive, pod.log[-3000:]
        allowed = SECOND_NOTICES.get((stage, trouble), int(stage in RENEWALS))
        if (stage, trouble) == ("mark as notified", "is out for a while"):
            allowed = pod.log.count('"found ended"')  # the number depends on the speed of agent and AWS library
        assert check_endings(rig) <= allowed


def goes_wrong(source):
    """An action that disturbs a quarter of all calls."""
    actions = [aws_error(500, "InternalError"), throttled(), reset(), reset(after_forwarding=True), half_body()]

    async def action(exchange):
        return await (source.choice(actions)(exchange) if source.random() < 0.25 else exchange.forward())

    return action


def test_tasks_end_once_even_if_a_quarter_of_all_calls_to_aws_fails(kit):
    with kit.rig("sdwebui", visibility_s=SHORT_VISIBILITY_S) as rig:
        pods = [rig.add_pod(step_s=0.1) for _ in range(2)]
        for number, pod in enumerate(pods):
            pod.aws.rule("*", goes_wrong(random.Random(f"{kit.seed} {number}")), for_s=25)
        for number in range(20):
            rig.submit(seed=number, pictures=2)
        for pod in pods:
            pod.start().keep_alive()
        rig.wait_until_all_are_notified()
        second_notices = check_endings(rig)
        again = sum(len(pod.generations) for pod in pods) - len(rig.submitted)
        return (
            f"seed {kit.seed}: {len(rig.submitted)} tasks, {second_notices} second notices, "
            f"{again} generations beyond one per task, agents' exits: {[pod.agent.exits for pod in pods]}"
        )
