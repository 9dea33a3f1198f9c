"""What an agent that is a function asks of AWS, against what its role grants: nothing more, and nothing less."""

import contextlib
import json
import time
from pathlib import Path

import pytest
from infrakit.cloud import Deployment
from infrakit.parts import AGENT, running_function
from infrakit.policies import allowed, matches
from infrakit.stacks import listed

from contract.ids import new_job_id
from contract.objects import content_key, s3_url
from contract.task import Task
from jobs import commands
from jobs.job import JobState
from jobs.store import JobStore
from local.sandbox import ACCOUNT
from test.kit.processes import wait_for

RUNTIME = "single"
UNUSED = {
    "logs:CreateLogStream": "Lambda writes the log itself",
    "logs:PutLogEvents": "Lambda writes the log itself",
    "xray:PutTraceSegments": "Lambda sends traces itself",
    "xray:PutTelemetryRecords": "Lambda sends traces itself",
    "s3:AbortMultipartUpload": "only when S3 fails in the middle of a large picture",
    "sqs:GetQueueAttributes": "Lambda asks for it when the event source is made",
    "bedrock:InvokeModel": "the stand-in is no part of this AWS",
}
"""Why the role grants what the function does not use here."""


def send(deployed, jobs, tasktype="text-to-image", **content):
    """Send a task as the door does, with its content in the bucket; gives its job."""
    job, bucket = new_job_id(), deployed.id_of("OutputBucket")
    metadata = {"id": "t", "runtime": RUNTIME, "tasktype": tasktype, "job": job}
    deployed.client("s3").put_object(Bucket=bucket, Key=content_key(job), Body=json.dumps(content).encode())
    task = Task.model_validate({"metadata": metadata, "content_url": s3_url(bucket, content_key(job))})
    now, due = time.time(), time.time() + 3600
    jobs.run(commands.accept(task, now, start_by_s=due))
    jobs.run(commands.published(job, now_s=now, start_by_s=due))
    deployed.client("sqs").send_message(QueueUrl=deployed.queue_url(RUNTIME), MessageBody=task.to_message())
    return job


@pytest.fixture(scope="module")
def deployed(managed):
    with contextlib.closing(Deployment(managed)) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def run(deployed, tmp_path_factory):
    """One run: a picture, content in the bucket, and a message that is none; gives all calls of the function."""
    jobs = JobStore(deployed.client("dynamodb"), deployed.id_of("JobsTable"))
    inputs = {"Bucket": "pictures-of-others"}
    deployed.client("s3").create_bucket(**inputs)
    deployed.client("s3").put_object(**inputs, Key="a.png", Body=Path("test/input.png").read_bytes())
    linked = {"image": "s3://pictures-of-others/a.png", "strength": 0.5, "prompt": "p"}
    drawn = [send(deployed, jobs, prompt="a lighthouse"), send(deployed, jobs, "image-to-image", **linked)]
    deployed.client("sqs").send_message(QueueUrl=deployed.queue_url(RUNTIME), MessageBody="no task")
    with running_function(deployed, RUNTIME, tmp_path_factory.mktemp("run")) as function:
        for job in drawn:
            wait_for(lambda job=job: jobs.get(job).notified, lambda: function.log)
            assert jobs.get(job).state is JobState.SUCCEEDED, jobs.get(job)
        wait_for(lambda: deployed.take(RUNTIME, "-dead"), lambda: function.log)
    return frozenset(deployed.calls)


def test_the_role_grants_every_call_that_the_function_makes_and_else_only_what_has_a_reason(deployed, run):
    statements = deployed.stack.statements(RUNTIME, deployed.id_of)
    calls = {call for call in run if call.caller == AGENT}
    own = {"aws:ResourceAccount": ACCOUNT}
    refused = [
        call for call in calls if not allowed({"Statement": statements}, call.action, call.resource, context=own)
    ]
    assert calls
    assert refused == []
    unused = [
        (action, resource)
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action not in UNUSED
        and not any(call.action == action and matches(call.resource, resource) for call in calls)
    ]
    assert unused == []
    assert not {call.action for call in calls} & set(UNUSED)


def test_the_service_may_be_called_for_the_runtimes_model_alone(deployed):
    [actions] = [
        listed(one["Resource"])
        for one in deployed.stack.statements(RUNTIME)
        if "bedrock:InvokeModel" in listed(one["Action"])
    ]
    assert json.dumps(actions).count("foundation-model/") == 1
