"""Webhooks that are sent while a job runs, from the table's stream."""

import uuid

import pytest

from courier.batches import handle_changes
from courier.courier import MAX_PROGRESS_AGE_S, PROGRESS_PAUSE_S
from courier.stream import NoStreamError, TableStream
from jobs import commands
from jobs.schema import DEFINITION
from local.aws import STREAM
from test.kit.jobs import LEASE_S, JobsTable

ALL = ("started", "progress", "output", "completed")


def told(world):
    return [webhook.json["type"].removeprefix("job.") for webhook in world.received]


def test_a_job_is_told_from_its_start_to_its_end_each_with_the_state_as_it_is_then(world):
    task = world.running(*ALL)
    world.read_stream()
    world.pass_time()
    world.progress(task, 0.5)
    world.read_stream()
    world.pass_time()
    world.notify(world.end(task))
    world.read_stream()
    world.pass_time()
    assert told(world) == ["started", "progress", "output", "completed"]
    started, progress, output, completed = (webhook.data for webhook in world.received)
    assert (started["state"], started["progress"]) == ("running", None)
    assert progress["progress"] == {"fraction": 0.5, "step": 10, "steps": 20, "stage": "sampling"}
    assert output["images"] == completed["images"] != []
    versions = [one["version"] for one in (started, progress, completed)]
    assert versions == sorted(set(versions))
    assert len({webhook.id for webhook in world.received}) == 4
    assert sorted(world.log(task.metadata.job)) == [
        (event, 1, "delivered") for event in ("completed", "output", "started")
    ]


@pytest.mark.parametrize("event", ALL)
def test_only_the_events_that_a_webhook_asks_for_are_told(world, event):
    task = world.running(event)
    world.progress(task, 0.5)
    world.read_stream()
    queued = len(world.sqs.waiting)
    world.pass_time()
    world.notify(world.end(task))
    world.read_stream()
    world.update(commands.notified(task.metadata.job, world.now_s))
    world.read_stream()
    queued += len(world.sqs.waiting)
    world.pass_time()
    assert told(world) == [event]
    assert queued == 1 + (event != "completed")  # the notice, and what the stream tells


def test_jobs_without_webhooks_put_nothing_into_the_queue(world):
    task = world.queued()
    world.claim(task)
    world.progress(task, 0.5)
    world.end(task)
    world.read_stream()
    assert world.sqs.waiting == []


def test_of_progress_that_is_read_at_once_only_the_latest_is_told(world):
    task = world.running("progress")
    for fraction in (0.1, 0.2, 0.3):
        world.progress(task, fraction)
    world.read_stream()
    world.pass_time()
    assert [webhook.data["progress"]["fraction"] for webhook in world.received] == [0.3]


def test_records_of_the_stream_that_come_twice_are_one_event(world):
    task = world.running("started", "output", "completed")
    world.end(task)
    world.read_stream()
    world.pass_time()
    world.stream = world.new_stream()
    world.read_stream()
    world.pass_time()
    assert told(world) == ["started", "output"]


def test_each_start_of_a_job_is_an_event(world):
    task = world.running("started")
    world.update(
        commands.release(
            task.metadata.job,
            "token",
            runtime=world.name,
            attempts=1,
            is_blameless=False,
            start_by_s=world.now_s + 60,
        )
    )
    world.claim(task, token="another")
    world.now_s += 2 * LEASE_S
    world.claim(task, token="third")  # the second agent has vanished
    world.read_stream()
    world.pass_time()
    assert told(world) == ["started", "started", "started"]
    assert len({webhook.id for webhook in world.received}) == 3


def test_started_is_retried_by_the_schedule_and_progress_is_not(world):
    world.answer = 500
    task = world.running("started", "progress")
    world.progress(task, 0.5)
    world.read_stream()
    world.pass_time(400)
    assert sorted(told(world)) == ["progress", "started", "started", "started"]
    assert world.sqs.dead == []


def test_a_receiver_that_does_not_accept_progress_gets_no_more_of_it_for_a_minute(world):
    task = world.running("progress")
    for answer, wait_s in ((500, 0), (200, 1), (200, PROGRESS_PAUSE_S)):
        world.answer = answer
        world.now_s += wait_s
        world.progress(task, wait_s / 100)
        world.read_stream()
        world.pass_time()
    assert len(world.received) == 2


@pytest.mark.parametrize("ends", [True, False])
def test_old_progress_is_not_sent(world, ends):
    task = world.running("progress")
    world.progress(task, 0.5)
    world.read_stream()
    if ends:
        world.end(task)
    else:
        world.now_s += MAX_PROGRESS_AGE_S + 1
        world.sqs.waiting = [(world.now_s, body) for _, body in world.sqs.waiting]
    world.pass_time()
    assert world.received == []


def test_a_record_of_a_later_version_of_the_platform_holds_up_no_other(world):
    unreadable = {"NewImage": {"webhook": {"S": "{}"}}, "OldImage": {"webhook": {"S": "{}"}}, "SequenceNumber": "1"}
    assert handle_changes(world.queue, {"Records": [{"dynamodb": unreadable}]}, 0) == {"batchItemFailures": []}


# The stream's reader


def test_a_reader_goes_on_where_the_one_before_it_saved_its_position(world):
    world.running("started")
    world.read_stream()
    world.stream.save()
    world.running("started")
    world.stream, world.sqs.waiting = world.new_stream(), []
    world.read_stream()
    assert len(world.sqs.waiting) == 1


def test_records_come_again_from_the_first_that_sqs_did_not_take(world):
    tasks = [world.running("started") for _ in range(12)]
    put, calls = world.sqs.send_message_batch, []

    def send(**request):
        calls.append(len(request["Entries"]))
        return {"Failed": [{"Code": "InternalError"}]} if len(calls) == 2 else put(**request)

    world.sqs.send_message_batch = send

    def handle(records):
        failed = handle_changes(world.queue, {"Records": records}, world.now_s)["batchItemFailures"]
        return failed[0]["itemIdentifier"] if failed else None

    while world.stream.poll(handle):
        pass
    assert calls == [10, 2, 2]
    world.pass_time()
    assert sorted(webhook.data["job"] for webhook in world.received) == sorted(task.metadata.job for task in tasks)


def test_a_stream_that_takes_the_place_of_another_is_read_from_its_beginning(world, monkeypatch):
    for _ in range(2):
        world.running("started")
    world.read_stream()
    world.aws.dynamodb.delete_table(TableName=world.store.table)
    world.aws.dynamodb.create_table(TableName=world.store.table, **DEFINITION, **STREAM)
    world.sqs.waiting = []
    world.running("started")
    monkeypatch.setattr("courier.stream._LIST_EVERY_S", 0)
    world.read_stream()
    assert len(world.sqs.waiting) == 1


def test_a_table_without_a_stream_is_named(aws):
    table = JobsTable(aws.dynamodb, f"streamless-{uuid.uuid4().hex[:8]}").store.table
    stream = TableStream(dynamodb=aws.dynamodb, streams=aws.client("dynamodbstreams"), table=table)
    with pytest.raises(NoStreamError, match=table):
        stream.poll(lambda _: None)
