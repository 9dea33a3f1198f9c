"""What door, keeper and agent ask of AWS in one run, against what their roles grant: nothing more, and nothing less."""

import json
import time
from pathlib import Path

import pytest
from infrakit.parts import AGENT, DOOR, REAPER, RETURNED, Door, handler_of, running_agent
from infrakit.policies import allowed, matches
from infrakit.stacks import INPUTS, config_of, listed

from contract.ids import new_job_id
from contract.objects import content_key
from contract.task import Task
from jobs import commands
from jobs.commands import LOST_MESSAGE_S
from jobs.job import JobState
from jobs.store import JobStore
from local.sandbox import ACCOUNT
from test.kit.processes import wait_for

CONFIG = config_of()
OWNERS = {
    DOOR: "api.handlers.handler",
    RETURNED: "keeper.handlers.exhausted_handler",
    REAPER: "keeper.handlers.reaper_handler",
    AGENT: "static",
}
"""Whose role a part has: a handler's, or a service account's."""
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
    deployed.calls.clear()
    jobs = JobStore(deployed.client("dynamodb"), deployed.id_of("JobsTable"))
    door = Door(deployed, folder)
    accepted = use_the_door(deployed, door)
    with running_agent(deployed, CONFIG.models_runtime[0], folder) as agent:
        let_the_agent_work(deployed, door, jobs, agent, accepted)
    return_a_message(deployed, jobs)
    reap(deployed, jobs)
    return frozenset(deployed.calls)


def use_the_door(deployed, door):
    """Small, large, repeated, and one that SNS does not take; gives the jobs."""
    large = door.submit("static", "text-to-image", {"prompt": "p" * 250_000, "steps": 1})
    key = {"Idempotency-Key": "once"}
    content = {"prompt": "p", "steps": 1}
    once = door.submit("static", "text-to-image", content, **key)
    assert door.submit("static", "text-to-image", content, **key) == once
    metadata = {"id": "t", "runtime": "static", "tasktype": "text-to-image"}
    deployed.failing = (DOOR, "sns:Publish")
    status, _ = door.post({"task": {"metadata": metadata, "content": {"prompt": "p"}}})
    deployed.failing = None
    assert status == 503
    return [large, once]


def let_the_agent_work(deployed, door, jobs, agent, accepted):
    """Tasks with content in the bucket and inputs in other buckets, one that cannot be read and one that is newer."""
    s3 = deployed.client("s3")
    s3.create_bucket(Bucket=INPUTS)
    s3.put_object(Bucket=INPUTS, Key="a.png", Body=Path("test/input.png").read_bytes())
    linked = {"prompt": "p", "steps": 1, "init_images": [f"s3://{INPUTS}/a.png"]}
    accepted = [*accepted, door.submit("static", "image-to-image", linked, task_id="linked")]
    for body in ("no task", json.dumps({"metadata": {"schema": 99}, "content": {}})):
        deployed.client("sqs").send_message(QueueUrl=deployed.queue_url("static"), MessageBody=body)
    for job in accepted:
        wait_for(lambda job=job: jobs.get(job).notified, lambda: agent.log)
        assert jobs.get(job).state is JobState.SUCCEEDED, jobs.get(job)
    wait_for(lambda: deployed.take("static", "-dead"), lambda: agent.log)
    wait_for(lambda: "sqs:ChangeMessageVisibility" in {call.action for call in set(deployed.calls)}, lambda: agent.log)


def new_task(runtime, tasktype):
    metadata = {"id": "lost", "runtime": runtime, "tasktype": tasktype, "job": new_job_id()}
    return Task.model_validate({"metadata": metadata, "content": {}})


def return_a_message(deployed, jobs):
    """Play SQS's redrive and Lambda's event source, which acts as the function's role."""
    task = new_task("static", "text-to-image")
    sqs, url = deployed.client("sqs", RETURNED), deployed.queue_url("static", "-returned")
    deployed.client("sqs").send_message(QueueUrl=url, MessageBody=task.to_message())
    [message] = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"]
    event = {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSourceARN": deployed.id_of("ReturnedQueuestatic.Arn"),
    }
    handler = handler_of(deployed, RETURNED, OWNERS[RETURNED])
    assert handler({"Records": [event]}) == {"batchItemFailures": []}
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])  # how Lambda scales
    assert jobs.get(task.metadata.job).runtime == "static"
    assert len(deployed.take("static", "-dead")) == 1


def reap(deployed, jobs):
    """A job whose message was lost; then one that was perhaps never published, and one that nobody has begun."""
    handler = handler_of(deployed, REAPER, OWNERS[REAPER])
    lost, then = new_task("comfy", "pipeline"), time.time() - 2 * LOST_MESSAGE_S
    jobs.run(commands.accept(lost, then, start_by_s=then + 86400))
    jobs.run(commands.keep_request(lost.metadata.job, then, request=commands.pack(lost.content)))
    jobs.run(commands.published(lost.metadata.job, now_s=then, start_by_s=then + 86400))
    assert handler({})["republished"] == len(deployed.take("comfy")) == 1
    s3, overdue = deployed.client("s3"), []
    for age_s in (120, 100_000):
        task = new_task("comfy", "pipeline")
        then = time.time() - age_s
        jobs.run(commands.accept(task, then, start_by_s=then + 3600))
        s3.put_object(Bucket=deployed.id_of("OutputBucket"), Key=content_key(task.metadata.job), Body=b"{}")
        overdue.append(task.metadata.job)
    counts = handler({})
    assert (counts["republished"], counts["ended"], counts["told"], counts["failed"]) == (1, 1, 1, 0)
    assert [jobs.get(job).state for job in overdue] == [JobState.QUEUED, JobState.FAILED]
    assert len(deployed.take("comfy")) == 1


DEPTHS = {"sqs:GetQueueUrl", "sqs:GetQueueAttributes"}
"""Calls that read no message, and so need no key."""


def of_any_runtime(resource):
    """A queue's name without its runtime's: what is granted on one runtime's queue is on all."""
    for runtime in CONFIG.models_runtime:
        resource = resource.replace(CONFIG.queue_name(runtime.name), "QUEUE")
    return resource


@pytest.mark.parametrize("caller", OWNERS)
def test_a_role_grants_every_call_that_its_part_makes_and_else_only_what_has_a_reason(deployed, run, caller):
    statements = deployed.stack.statements(OWNERS[caller], deployed.id_of)
    calls, policy = [call for call in run if call.caller == caller], {"Statement": statements}
    assert calls
    own = {"aws:ResourceAccount": ACCOUNT}
    assert [call for call in calls if not allowed(policy, call.action, call.resource, context=own)] == []
    made = {(call.action, of_any_runtime(call.resource)) for call in calls}
    granted = {
        (action, of_any_runtime(resource))
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action not in UNUSED
    }
    unused = [one for one in granted if not any(name == one[0] and matches(used, one[1]) for name, used in made)]
    assert unused == []


def test_no_reason_is_given_for_what_is_used(run):
    assert not {call.action for call in run} & set(UNUSED)


@pytest.mark.parametrize("caller", OWNERS)
def test_a_role_may_use_the_operators_key_through_just_the_services_that_its_part_calls(configured, run, caller):
    granted = configured.statements(OWNERS[caller])
    [use] = [one for one in granted if "kms:Decrypt" in one["Action"]]
    assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    through = {service.partition(".")[0] for service in use["Condition"]["StringEquals"]["kms:ViaService"]}
    called = {call.action for call in run if call.caller == caller} - DEPTHS
    assert through == {action.partition(":")[0] for action in called}
