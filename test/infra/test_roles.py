"""What door, keeper and agent ask of AWS in one run, against what their roles grant: nothing more, and nothing less."""

import base64
import json
import secrets
import time
import urllib.request
from pathlib import Path

import pytest
from infrakit.parts import AGENT, CHANGES, DELIVER, DOOR, REAPER, RETURNED, STREAM, Door, handler_of, running_agent
from infrakit.policies import allowed, matches
from infrakit.stacks import INPUTS, config_of, listed

from contract.ids import new_job_id
from contract.objects import WORKFLOWS_PREFIX, content_key
from contract.task import Task
from courier.delivery import Delivery
from courier.log import read_log
from jobs import commands, requests
from jobs.commands import LOST_MESSAGE_S
from jobs.job import JobState
from jobs.store import JobStore
from local.sandbox import ACCOUNT
from test.kit.processes import wait_for

CONFIG = config_of()
OWNERS = {
    DOOR: "api.handlers.handler",
    STREAM: "api.stream_handler.main",
    DELIVER: "courier.handlers.queue_handler",
    CHANGES: "courier.handlers.stream_handler",
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
    "dynamodb:ListStreams": "Lambda asks for it when the event source is made",
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
    use_the_job_api(deployed, door)
    keep_things(door)
    use_dialects(deployed, door)
    accepted = use_the_door(deployed, door)
    with running_agent(deployed, CONFIG.models_runtime[0], folder) as agent:
        let_the_agent_work(deployed, door, jobs, agent, accepted)
        look_at_results(door, accepted)
        webhook = {"url": "https://webhooks.invalid/", "events": ["started", "completed"]}
        request = {"runtime": "static", "type": "text-to-image", "content": {"prompt": "p", "steps": 1}}
        _, answer = door.post({**request, "webhook": webhook}, "/v1/jobs")
        wait_for(lambda: jobs.get(answer["job"]).notified, lambda: agent.log)
    deliver_webhooks(deployed, jobs, answer["job"])
    [*_, last] = door.ask("GET", f"/v1/webhooks/deliveries?job={answer['job']}")[1]["deliveries"]
    assert door.post(None, f"/v1/webhooks/deliveries/{last['id']}/replay")[0] == 202
    return_a_message(deployed, jobs)
    reap(deployed, jobs)
    return frozenset(deployed.calls)


def use_the_job_api(deployed, door):
    """Jobs in their queue: looked at, listed, followed, cancelled, and what was asked for."""
    jobs = []
    for prompt in ("p", secrets.token_hex(125_000)):  # which does not fit into the table
        request = {"runtime": "static", "type": "text-to-image", "content": {"prompt": prompt, "steps": 1}}
        status, answer = door.post(request, "/v1/jobs")
        assert status == 202, answer
        jobs.append(answer["job"])
        assert door.ask("GET", f"/v1/jobs/{answer['job']}/request")[1]["content"]["prompt"] == prompt
    assert door.ask("GET", f"/v1/jobs/{jobs[1]}")[1]["queue"]["position"] >= 1
    assert [one["job"] for one in door.ask("GET", "/v1/jobs")[1]["jobs"]][:2] == jobs[::-1]
    assert b"event: state" in door.stream("GET", f"/v1/jobs/{jobs[1]}/events", until=b"event: queue")[2]
    for job in jobs:
        assert door.post(None, f"/v1/jobs/{job}/cancel")[1]["state"] == "cancelled"
    assert len(deployed.take("static")) == len(jobs)


def use_dialects(deployed, door):
    """Models, jobs large and small, repeated, listed, cancelled, one that SNS does not take, and a caller's file."""
    status, _, models = door.stream("GET", "/openai/v1/models")
    assert (status, json.loads(models)["data"][0]["id"]) == (200, "static")
    edit = {"model": "static", "prompt": "p", "stream": True}
    image = base64.b64encode(bytes(200_000)).decode()
    jobs = []
    for body, headers in (
        (edit | {"image": "aGk="}, {"Idempotency-Key": "edit"}),
        (edit | {"image": image}, {"x-stainless-retry-count": "0"}),
        (edit | {"image": image}, {"x-stainless-retry-count": "1"}),
    ):
        # The first words of its answer come after seconds.
        status, head, _ = door.stream("POST", "/openai/v1/images/edits", body, until=None, **headers)
        assert status == 200
        jobs.append(head["x-request-id"])
    assert jobs[1] == jobs[2]
    for job in jobs[:2]:
        answer = door.stream("POST", f"/runpod/v2/static/cancel/{job}")
        assert json.loads(answer[2])["status"] == "CANCELLED"
    assert len(deployed.take("static")) == len(jobs[:2])
    workflow = json.loads(Path("runtimes/comfyui/samples/first.json").read_text())["content"]
    status, _, job = door.stream("POST", "/comfy/api/v2/jobs", {"workflow": workflow})
    assert status == 201
    assert json.loads(job)["id"] in door.stream("GET", "/comfy/api/v2/jobs")[2].decode()
    assert len(deployed.take("comfy")) == 1
    form = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\npng\r\n--b--\r\n'
    answer = door.stream("POST", "/comfy/api/v2/assets", form, **{"Content-Type": "multipart/form-data; boundary=b"})
    assert door.stream("DELETE", f"/comfy/api/v2/assets/{json.loads(answer[2])['id']}")[0] == 204
    deployed.failing = (STREAM, "sns:Publish")
    assert door.stream("POST", "/openai/v1/images/edits", edit | {"image": "aGk="})[0] == 503
    deployed.failing = None


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


def keep_things(door):
    """A workflow and a file of the caller's own."""
    workflow = json.loads(Path("runtimes/comfyui/samples/first.json").read_text())["content"]
    status, answer = door.ask("PUT", "/v1/workflows/mine", {"workflow": workflow})
    assert status == 200, answer
    assert [one["name"] for one in door.ask("GET", "/v1/workflows")[1]["workflows"]] == ["mine"]
    assert door.ask("DELETE", "/v1/workflows/mine")[0] == 204
    status, file = door.post({"name": "a.png", "size": 3}, "/v1/files")
    assert status == 201, file
    upload = file["upload"]
    request = urllib.request.Request(upload["url"], b"png", upload["headers"], method=upload["method"])
    with urllib.request.urlopen(request):
        assert door.ask("GET", f"/v1/files/{file['file']}")[0] == 200
    assert door.ask("DELETE", f"/v1/files/{file['file']}")[0] == 204


def look_at_results(door, accepted):
    """Pictures by their number, and by links that need no key."""
    for job in accepted:
        link = door.ask("GET", f"/v1/jobs/{job}")[1]["images"][0]["url"].removeprefix("https://api.example")
        for path in (link, f"/v1/jobs/{job}/outputs/1"):
            assert door.download(path).startswith(b"\x89PNG")
        assert b"event: state" in door.stream("GET", f"/v1/jobs/{job}/events", until=b"event: output")[2]
    assert door.stream("GET", f"{link}?redirect=false")[2].startswith(b"\x89PNG")


def deliver_webhooks(deployed, jobs, job):
    """A start and an end that no receiver accepts; plays Lambda's event sources, which act as the functions' roles."""
    changes, deliver = (handler_of(deployed, caller, OWNERS[caller]) for caller in (CHANGES, DELIVER))
    assert changes({"Records": changes_of(deployed, job)}) == {"batchItemFailures": []}
    sqs, queue = deployed.client("sqs", DELIVER), {"QueueUrl": deployed.id_of(logical_id(deployed, "Queue"))}
    sqs.get_queue_attributes(**queue, AttributeNames=["ApproximateNumberOfMessages"])
    events = set()
    while events != {"started", "completed"}:
        messages = sqs.receive_message(**queue, MaxNumberOfMessages=10)["Messages"]
        records = [{"messageId": one["MessageId"], "body": one["Body"]} for one in messages]
        assert deliver({"Records": records}) == {"batchItemFailures": []}
        for one in messages:
            sqs.delete_message(**queue, ReceiptHandle=one["ReceiptHandle"])
        events = set(jobs.run(read_log(job, time.time())).rows)
    last = Delivery.of_end(jobs.get(job)).model_copy(update={"attempt": 7})
    assert deliver({"Records": [{"messageId": "m", "body": last.model_dump_json()}]}) == {"batchItemFailures": []}
    dead = {"QueueUrl": deployed.id_of(logical_id(deployed, "DeadQueue"))}
    assert len(deployed.client("sqs").receive_message(**dead)["Messages"]) == 1


def changes_of(deployed, job):
    """The records of the table's stream that the event source's filter lets through, all of one job."""
    _, source = deployed.stack.only("AWS::Lambda::EventSourceMapping", StartingPosition="LATEST")
    [pattern] = source["FilterCriteria"]["Filters"]
    image = {"webhook": {"S": [{"exists": True}]}}
    assert json.loads(pattern["Pattern"]) == {"eventName": ["MODIFY"], "dynamodb": {"NewImage": image}}
    table = deployed.client("dynamodb").describe_table(TableName=deployed.id_of("JobsTable"))["Table"]
    streams, arn = deployed.client("dynamodbstreams", CHANGES), table["LatestStreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    start = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=start["ShardIterator"])["Records"]
    images = [one["dynamodb"].get("NewImage", {}) for one in records]
    found = [
        record
        for record, image in zip(records, images, strict=True)
        if record["eventName"] == "MODIFY" and "webhook" in image
    ]
    assert {one["dynamodb"]["Keys"]["pk"]["S"] for one in found} == {job}
    return found


def logical_id(deployed, kind):
    """The logical id of a queue of the courier's."""
    return next(name for name in deployed.stack.of_type("AWS::SQS::Queue") if name.startswith(f"TasksCourier{kind}"))


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
    jobs.run(requests.keep(lost.metadata.job, then, request=requests.pack(lost.content)))
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
    own = {"aws:ResourceAccount": ACCOUNT, "s3:prefix": f"{WORKFLOWS_PREFIX}x/"}
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
