"""What door, keeper and agent ask of AWS in one run, against what their roles grant: nothing more, and nothing less."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from infrakit.parts import AGENT, DOOR, REAPER, RETURNED, Door, Queues, handler_of, running_agent
from infrakit.policies import allowed, matches
from infrakit.stacks import INPUTS, config_of, listed

from contract.ids import new_job_id
from contract.objects import content_key
from contract.task import Task
from jobs import commands
from jobs.job import JobState
from jobs.store import JobStore
from local.sandbox import ACCOUNT
from test.kit.processes import wait_for

CONFIG = config_of()
HANDLERS = {
    DOOR: "api.handlers.handler",
    RETURNED: "keeper.handlers.exhausted_handler",
    REAPER: "keeper.handlers.reaper_handler",
}
OWNERS = HANDLERS | {AGENT: "static"}
"""Whose role a part has: a handler's, or a service account's."""
PARTS = (*OWNERS,)
UNUSED = {
    "logs:CreateLogStream": "Lambda writes the log itself",
    "logs:PutLogEvents": "Lambda writes the log itself",
    "xray:PutTraceSegments": "Lambda sends traces itself",
    "xray:PutTelemetryRecords": "Lambda sends traces itself",
    "s3:AbortMultipartUpload": "only when S3 fails in the middle of a large picture: test_objects of the agent",
}
"""Why a role grants what its part does not use here."""


@pytest.fixture(scope="module")
def run(deployed, tmp_path_factory):
    """One run of everything; gives all calls."""
    folder = tmp_path_factory.mktemp("run")
    cloud = deployed.cloud
    cloud.calls.clear()
    parts = SimpleNamespace(
        cloud=cloud,
        queues=Queues(deployed, CONFIG),
        jobs=JobStore(cloud.client("dynamodb"), deployed.id_of("JobsTable")),
        bucket=deployed.id_of("OutputBucket"),
        door=Door(deployed, CONFIG, folder),
        returned_arn=deployed.id_of("ReturnedQueuestatic.Arn"),
        returned=handler_of(deployed, RETURNED, HANDLERS[RETURNED]),
        reaper=handler_of(deployed, REAPER, HANDLERS[REAPER]),
    )
    use_the_door(parts)
    with running_agent(deployed, CONFIG, CONFIG.models_runtime[0], folder) as agent:
        let_the_agent_work(parts, agent)
    return_a_message(parts)
    reap(parts)
    return frozenset(cloud.calls)


def use_the_door(parts):
    """Small, large, repeated, and one that SNS does not take."""
    parts.large = parts.door.submit("static", "text-to-image", {"prompt": "p" * 250_000})
    key = {"Idempotency-Key": "once"}
    parts.once = parts.door.submit("static", "text-to-image", {"prompt": "p"}, **key)
    assert parts.door.submit("static", "text-to-image", {"prompt": "p"}, **key) == parts.once
    metadata = {"id": "t", "runtime": "static", "tasktype": "text-to-image"}
    with parts.cloud.failing(DOOR, "sns:Publish"):
        status, _ = parts.door.post({"task": {"metadata": metadata, "content": {"prompt": "p"}}})
    assert status == 503


def let_the_agent_work(parts, agent):
    """Tasks with content in the bucket and inputs in other buckets, one that cannot be read and one that is newer."""
    s3 = parts.cloud.client("s3")
    s3.create_bucket(Bucket=INPUTS)
    s3.put_object(Bucket=INPUTS, Key="a.png", Body=Path("test/input.png").read_bytes())
    linked = parts.door.submit(
        "static", "image-to-image", {"prompt": "p", "init_images": [f"s3://{INPUTS}/a.png"]}, task_id="linked"
    )
    for body in ("no task", json.dumps({"metadata": {"schema": 99}, "content": {}})):
        parts.cloud.client("sqs").send_message(QueueUrl=parts.queues.url("static"), MessageBody=body)
    for job in (parts.large, parts.once, linked):
        wait_for(lambda job=job: parts.jobs.get(job).notified, lambda: agent.log)
        assert parts.jobs.get(job).state is JobState.SUCCEEDED, parts.jobs.get(job)
    wait_for(lambda: parts.queues.take("static", "-dead"), lambda: agent.log)
    wait_for(lambda: "sqs:ChangeMessageVisibility" in {call.action for call in parts.cloud.calls}, lambda: agent.log)


def new_task(runtime, tasktype):
    metadata = {"id": "lost", "runtime": runtime, "tasktype": tasktype, "job": new_job_id()}
    return Task.model_validate({"metadata": metadata, "content": {}})


def return_a_message(parts):
    """Play SQS's redrive and Lambda's event source, which acts as the function's role."""
    task = new_task("static", "text-to-image")
    sqs, url = parts.cloud.client("sqs", RETURNED), parts.queues.url("static", "-returned")
    parts.cloud.client("sqs").send_message(QueueUrl=url, MessageBody=task.to_message())
    [message] = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"]
    event = {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSourceARN": parts.returned_arn,
    }
    assert parts.returned({"Records": [event]}) == {"batchItemFailures": []}
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])  # how Lambda scales
    assert parts.jobs.get(task.metadata.job).runtime == "static"
    assert len(parts.queues.take("static", "-dead")) == 1


def reap(parts):
    """A job that was perhaps never published, and one that nobody has begun."""
    s3 = parts.cloud.client("s3")
    jobs = []
    for age_s in (120, 100_000):
        task = new_task("comfy", "pipeline")
        job = task.metadata.job
        then = time.time() - age_s
        parts.jobs.run(commands.accept(task, then, start_by_s=then + 3600))
        s3.put_object(Bucket=parts.bucket, Key=content_key(job), Body=b"{}")
        jobs.append(job)
    counts = parts.reaper({})
    assert (counts["republished"], counts["ended"], counts["told"], counts["failed"]) == (1, 1, 1, 0)
    assert [parts.jobs.get(job).state for job in jobs] == [JobState.QUEUED, JobState.FAILED]
    assert len(parts.queues.take("comfy")) == 1


OWN_ACCOUNT = {"aws:ResourceAccount": ACCOUNT}


@pytest.fixture
def policy(deployed):
    """Gives what a part's role grants."""
    return lambda caller: deployed.policy(OWNERS[caller])


def of_any_runtime(resource):
    """A queue's name without its runtime's: what is granted on one runtime's queue is on all."""
    for runtime in CONFIG.models_runtime:
        resource = resource.replace(CONFIG.queue_name(runtime.name), "QUEUE")
    return resource


def calls_of(run, caller):
    return {call for call in run if call.caller == caller}


@pytest.mark.parametrize("caller", PARTS)
def test_a_role_grants_every_call_that_its_part_makes(policy, run, caller):
    calls, granted = calls_of(run, caller), policy(caller)
    assert calls
    assert {call for call in calls if not allowed(granted, call.action, call.resource, context=OWN_ACCOUNT)} == set()


@pytest.mark.parametrize("caller", PARTS)
def test_a_role_grants_nothing_that_its_part_does_not_use_but_for_a_reason(policy, run, caller):
    made = {(call.action, of_any_runtime(call.resource)) for call in calls_of(run, caller)}
    granted = {
        (action, of_any_runtime(resource))
        for statement in policy(caller)["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    unused = {
        (action, pattern)
        for action, pattern in granted
        if action not in UNUSED and not any(name == action and matches(used, pattern) for name, used in made)
    }
    assert unused == set()


def test_no_reason_is_given_for_what_is_used(run):
    assert not {call.action for call in run} & set(UNUSED)


@pytest.mark.parametrize("caller", PARTS)
def test_a_role_may_use_the_operators_key_through_just_the_services_that_its_part_calls(configured, run, caller):
    granted = configured.statements(configured.role(OWNERS[caller]))
    [use] = [one for one in granted if "kms:Decrypt" in one["Action"]]
    assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    through = {service.partition(".")[0] for service in use["Condition"]["StringEquals"]["kms:ViaService"]}
    assert through == {call.action.partition(":")[0] for call in calls_of(run, caller)}
