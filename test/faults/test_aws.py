"""S3, SNS, SQS and DynamoDB fail, throttle, hang and break off at each stage for a while; tasks still end once."""

import contextlib
import random

import pytest
from faultkit.acts import delay, half_body, hang, reset
from faultkit.audit import check_endings
from faultkit.aws import CLAIM, FINISH, NOTIFIED, RENEW, aws_error, throttled
from faultkit.lanes import Case
from faultkit.runtime import content_of

STAGES = {
    "receive": ("sqs:ReceiveMessage", "*"),
    "claim": ("dynamodb:UpdateItem", CLAIM),
    "renew": ("dynamodb:UpdateItem", RENEW),
    "keep hidden": ("sqs:ChangeMessageVisibility*", "*"),
    "fetch input": ("s3:GetObject", "*/in.png"),
    "put picture": ("s3:PutObject", "*.png"),
    "put manifest": ("s3:PutObject", "*.out"),
    "finish": ("dynamodb:UpdateItem", FINISH),
    "publish": ("sns:Publish*", "*"),
    "mark as notified": ("dynamodb:UpdateItem", NOTIFIED),
    "delete": ("sqs:DeleteMessage*", "*"),
}
RENEWALS = {"keep hidden", "renew"}
OUTAGE_S = 8
"""Longer than the AWS library goes on trying by itself."""
TROUBLES = {
    "fails": (aws_error(500, "InternalError"), {"times": 2}),
    "is throttled": (throttled(), {"times": 2}),
    "is reset before the deed": (reset(), {"times": 2}),
    "is reset after the deed": (reset(after_the_deed=True), {"times": 1}),
    "answers by half": (half_body(), {"times": 1}),
    "is slow": (delay(3), {"times": 1}),
    "is out for a while": (aws_error(503, "ServiceUnavailable"), {"for_s": OUTAGE_S}),
    "hangs": (hang(), {"times": 1}),
}
LONG = {"is reset before the deed", "is slow"}
"""What is done in the long form alone, as the library takes it like another one."""
SECOND_NOTICES = {
    "publish is reset after the deed": 1,
    "publish answers by half": 1,
    "publish hangs": 1,
    "publish is out for a while": 1,
    "mark as notified is out for a while": 2,
    "mark as notified hangs": 1,
}
"""Where one may be told again: whether SNS got it, or that it was told, could not be known. So may one whose message
could not be kept hidden: it comes again before it is deleted."""
TOLD_WITHIN_S = 90


class Fault(Case):
    """A trouble at a stage."""

    def __init__(self, stage, trouble):
        name = f"{stage} {trouble}"
        super().__init__(name, stage)
        self.second_notices = SECOND_NOTICES.get(name, int(stage in RENEWALS))
        self._stage = stage
        self._trouble = trouble

    @contextlib.contextmanager
    def bed(self, kit):
        with kit.runtime("sdwebui", visibility_s=5) as runtime:
            runtime.upload("in/in.png", kit.input_png)
            yield runtime, runtime.pod(step_s=0.1).start()

    def run(self, bed):
        runtime, pod = bed
        calls, path = STAGES[self._stage]
        act, options = TROUBLES[self._trouble]
        rule = pod.aws.rule(calls, act, path=path, **options)
        # Long enough for the lease to be renewed, where that is the stage.
        content = content_of("sdwebui", steps=25 if self._stage in RENEWALS else 1, pictures=2)
        tasktype = "text-to-image"
        if self._stage == "fetch input":
            content["init_images"] = [f"s3://{runtime.bucket}/in/in.png"]
            tasktype = "image-to-image"
        task_id = runtime.submit(content=content, pictures=2, metadata={"tasktype": tasktype})
        try:
            runtime.wait_until_all_are_told(TOLD_WITHIN_S)
        finally:
            pod.aws.lift()
        assert rule.hits
        assert pod.agent.is_alive, pod.log[-3000:]
        return check_endings(runtime, only=task_id)


FAULTS = [
    pytest.param(Fault(stage, trouble), marks=[pytest.mark.slow] if trouble in LONG else [])
    for trouble in reversed(TROUBLES)
    for stage in STAGES
]


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_a_task_ends_once_though_a_call_to_aws(endings, case):
    assert endings[case] <= case.second_notices


class Quarter(Case):
    """A quarter of all calls goes wrong for a while."""

    def __init__(self, *, table):
        super().__init__(f"{'with' if table else 'without'} a table")
        self._table = table

    @contextlib.contextmanager
    def bed(self, kit):
        with kit.runtime("sdwebui", table=self._table) as runtime:
            yield runtime, kit.seed

    def run(self, bed):
        runtime, seed = bed
        pods = [runtime.pod(step_s=0.1) for _ in range(2)]
        acts = [aws_error(500, "InternalError"), throttled(), reset(), reset(after_the_deed=True), half_body()]
        rules = [
            pod.aws.rule("*", act, chance=0.05, for_s=25, source=random.Random(f"{seed} {number} {pod.name[-1]}"))
            for pod in pods
            for number, act in enumerate(acts)
        ]
        for number in range(20):
            runtime.submit(seed=number, steps=2, pictures=2)
        for pod in pods:
            pod.start().keep_alive()
        runtime.wait_until_all_are_told(TOLD_WITHIN_S)
        second_notices = check_endings(runtime)
        again = sum(len(pod.generations) for pod in pods) - len(runtime.asked)
        return (
            f"{sum(rule.hits for rule in rules)} faults, {len(runtime.asked)} tasks, "
            f"{second_notices} second notices, {again} generations beyond one per task, "
            f"agents' exits: {[pod.agent.exits for pod in pods]}"
        )


@pytest.mark.parametrize("case", [Quarter(table=True), Quarter(table=False)], ids=str)
def test_tasks_end_once_though_a_quarter_of_all_calls_to_aws_goes_wrong(endings, seed, case):
    print(f"seed {seed}, {case}: {endings[case]}")
