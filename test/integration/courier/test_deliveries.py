"""What reaches a job's webhook, whatever the receiver does; the table is in AWS, the clock is the test's."""

import json

import pytest
from botocore.exceptions import ClientError

from contract.notice import JobError
from courier.batches import handle_messages
from courier.delivery import Delivery
from courier.queue import QueueError
from courier.schedule import PAUSES_S
from jobs import commands
from jobs.job import StoredOutput

HOUR_S = 3600
DAY_S = 24 * HOUR_S


def test_a_receiver_gets_the_whole_job_once_it_has_ended_and_the_reference_library_verifies_it(world):
    standardwebhooks = pytest.importorskip("standardwebhooks")
    context = {"order": "ü", "large": 10**30, "deep": [[[None, 1.5, True]]]}
    task = world.running(id="a", context=context)
    outputs = [StoredOutput(content_type="image/png", size_bytes=9, width=64, height=32, seed=7, name="x.png")]
    job = world.end(task, outputs=outputs)
    world.notify(job)
    world.pass_time()
    (webhook,) = world.received
    secret = world.operations.secret("key-1").secret
    body = standardwebhooks.Webhook(secret).verify(webhook.body, webhook.headers)
    assert webhook.headers["content-type"] == "application/json"
    assert webhook.id == f"{job.id}-completed-{job.version}"
    assert body["type"] == "job.completed"
    data = body["data"]
    assert (data["job"], data["task_id"], data["state"], data["context"]) == (job.id, "a", "succeeded", context)
    assert (data["runtime"], data["type"], data["error"]) == (world.name, "text-to-image", None)
    facts = {"content_type": "image/png", "width": 64, "height": 32, "bytes": 9, "seed": 7, "name": "x.png"}
    assert data["images"] == [{"s3": job.notice("out").image_url[0], **facts}]
    assert data["manifest"] == {"s3": job.notice("out").output_url}
    assert body["timestamp"] == data["ended_at"]
    assert body["timestamp"].endswith("Z")
    assert "secret words" not in webhook.body.decode()  # the prompt
    assert world.log(job.id) == [("completed", 1, "delivered")]


def test_a_failed_job_is_told_with_its_error(world):
    world.notify(world.end(world.running(), error=JobError(code="rejected", message="No such model.")))
    world.pass_time()
    (webhook,) = world.received
    assert webhook.data["error"] == {"code": "rejected", "message": "No such model."}
    assert (webhook.data["state"], webhook.data["images"]) == ("failed", [])


def test_a_job_without_a_webhook_or_with_one_for_other_events_is_not_told(world):
    task = world.queued(tenant="key-1")
    world.claim(task)
    world.notify(world.end(task))
    world.ended("started", "progress")
    world.pass_time()
    assert world.received == []


def test_a_notice_in_snss_envelope_is_read_and_one_of_no_job_ignored(world):
    job = world.end(world.running())
    envelope = {"Type": "Notification", "Message": job.notice("out").to_message(), "MessageAttributes": {}}
    world.courier.handle(json.dumps(envelope))
    world.courier.handle('{"id": null, "result": false}')
    world.courier.handle('{"job": "not-in-the-table"}')
    world.pass_time()
    assert [webhook.data["job"] for webhook in world.received] == [job.id]


@pytest.mark.parametrize("body", ["", "[]", "{", '{"job": 1}', '{"event": "completed"}', '{"Message": "x"}'])
def test_a_message_that_is_neither_delivery_nor_notice_is_an_error(world, body):
    with pytest.raises(ValueError):  # noqa: PT011 (of several readers)
        world.courier.handle(body)


def test_a_receiver_that_is_down_for_six_hours_gets_everything_by_the_schedule(world):
    began_s = world.now_s
    world.answer = lambda webhook: 503 if webhook.at_s < began_s + 6 * HOUR_S else 200
    for job in [world.ended(), world.ended()]:
        world.now_s = began_s
        world.pass_time(DAY_S)
        mine = [webhook for webhook in world.received if webhook.data["job"] == job]
        waits_s = [webhook.at_s - began_s for webhook in mine]
        expected_s = [sum(PAUSES_S[:number]) for number in range(6)]
        assert all(low <= wait <= low * 1.1 + 6 for low, wait in zip(expected_s, waits_s, strict=True))
        assert len({webhook.id for webhook in mine}) == 1
        assert len({webhook.headers["webhook-timestamp"] for webhook in mine}) == len(mine)
        assert world.log(job) == [("completed", 6, "delivered")]
    assert world.sqs.dead == []
    assert world.sqs.waiting == []


def test_what_is_never_accepted_ends_in_the_dead_queue_and_the_log_says_why(world, caplog):
    world.answer = 500
    job = world.ended()
    world.pass_time(2 * DAY_S)
    assert len(world.received) == 1 + len(PAUSES_S)
    ((delivery, reason),) = world.sqs.dead
    assert (delivery.job, reason) == (job, "The receiver answered 500.")
    (row,) = world.operations.deliveries(job)
    assert (row.state, row.status, row.problem, row.next_s) == ("failed", 500, "The receiver answered 500.", None)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert delivery.id in warning
    assert world.url not in warning


def test_while_a_delivery_waits_the_log_says_when_its_next_attempt_is_made(world):
    world.answer = 500
    job = world.ended()
    world.pass_time(6)
    (row,) = world.operations.deliveries(job)
    assert (row.state, row.delivery.attempt) == ("waiting", 2)
    assert 300 <= row.next_s - row.sent_s <= 330


@pytest.mark.parametrize(
    ("asked", "low_s", "high_s"),
    [("120", 120, 121), ("0", 5, 6), ("9" * 400, 12 * HOUR_S, 12 * HOUR_S + 1), ("soon", 5, 6), ("-5", 5, 6)],
)
def test_a_receivers_retry_after_is_obeyed_within_limits(world, asked, low_s, high_s):
    world.answer = lambda webhook: (429, {"Retry-After": asked}, b"") if len(world.received) == 1 else 200
    world.ended()
    world.pass_time(2 * DAY_S)
    first, second = world.received
    assert low_s <= second.at_s - first.at_s <= high_s


def test_410_ends_the_webhooks_of_this_job_and_of_no_other(world):
    world.answer = lambda webhook: 410 if webhook.path == "/gone" else 200
    task = world.running("started", "output", "completed", path="/gone")
    world.read_stream()
    world.pass_time()
    world.notify(world.end(task))
    world.read_stream()
    other = world.ended(path="/here")
    world.pass_time(2 * DAY_S)
    assert [webhook.path for webhook in world.received] == ["/gone", "/here"]
    assert world.log(task.metadata.job) == [("started", 1, "failed")]
    assert world.log(other) == [("completed", 1, "delivered")]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(world, status):
    world.answer = (status, {"Location": f"{world.url}/elsewhere"}, b"")
    job = world.ended(path="/here")
    world.pass_time()
    assert [webhook.path for webhook in world.received] == ["/here"]
    (row,) = world.operations.deliveries(job)
    assert (row.state, row.problem) == ("waiting", f"The receiver answered {status}; redirects are not followed.")


def test_a_private_url_is_not_called_once_the_configuration_forbids_it(world):
    world.courier = world.new_courier(allow_private=False)
    job = world.ended()
    world.pass_time()
    assert world.received == []
    (row,) = world.operations.deliveries(job)
    assert (row.state, row.status) == ("waiting", None)
    assert row.problem.startswith("The URL must be a URL such as https://")


# Messages that come twice, and crashes


def test_a_notice_that_comes_twice_is_one_webhook(world):
    job = world.end(world.running())
    world.notify(job)
    world.pass_time()
    world.notify(job)
    world.pass_time(60)
    assert len(world.received) == 1


def test_after_a_crash_between_post_and_log_the_same_webhook_comes_again_and_only_one_retry_follows(world, monkeypatch):
    world.answer = 500
    job = world.end(world.running())
    message = Delivery.of_end(job).model_dump_json()
    run = world.store.run

    def crash(command):
        if command.operation == "UpdateItem":
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")
        return run(command)

    monkeypatch.setattr(world.store, "run", crash)
    with pytest.raises(ClientError):
        world.courier.handle(message)
    monkeypatch.undo()
    world.courier.handle(message)  # SQS delivers it again
    world.answer = 200
    world.pass_time(2 * DAY_S)
    assert len({webhook.id for webhook in world.received}) == 1
    assert len(world.received) == 3
    assert world.log(job.id) == [("completed", 2, "delivered")]


STEPS = ("read the job", "read the log", "read the secret", "post", "queue the next attempt", "log")


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_a_crash_before_or_after_any_step_of_an_attempt_loses_nothing_and_repeats_one_webhook_at_most(
    world, monkeypatch, step, is_done
):
    world.answer = lambda webhook: 500 if len(world.received) == 1 else 200
    job = world.end(world.running())
    message = Delivery.of_end(job).model_dump_json()
    left = iter(range(step, -1, -1))

    def breaking(work):
        def broken(*given, **options):
            is_last = next(left, None) == 0
            if is_last and not is_done:
                raise KeyboardInterrupt
            result = work(*given, **options)
            if is_last:
                raise KeyboardInterrupt
            return result

        return broken

    for place, name in ((world.store, "run"), (world.sqs, "send_message_batch"), (world.courier._sender, "post")):
        monkeypatch.setattr(place, name, breaking(getattr(place, name)), raising=False)
    with pytest.raises(KeyboardInterrupt):
        world.courier.handle(message)
    monkeypatch.undo()
    world.courier.handle(message)  # SQS delivers it again
    world.pass_time(2 * DAY_S)
    assert {webhook.id for webhook in world.received} == {f"{job.id}-completed-{job.version}"}
    assert len(world.received) in (2, 3)
    (row,) = world.operations.deliveries(job.id)
    assert row.state == "delivered"
    assert world.sqs.waiting == []


def test_a_message_that_fails_is_delivered_again_and_the_others_of_its_batch_are_not(world):
    jobs = [world.end(world.running()) for _ in range(3)]
    bodies = [Delivery.of_end(job).model_dump_json() for job in jobs]
    records = [{"messageId": str(number), "body": body} for number, body in enumerate([bodies[0], "x", *bodies[1:]])]
    answer = handle_messages(world.courier, {"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert len(world.received) == 3


def test_an_attempt_whose_successor_sqs_does_not_take_is_made_again(world, monkeypatch):
    world.answer = 500
    job = world.end(world.running())
    monkeypatch.setattr(world.sqs, "send_message_batch", lambda **_: {"Failed": [{"Code": "InternalError"}]})
    with pytest.raises(QueueError, match="InternalError"):
        world.courier.handle(Delivery.of_end(job).model_dump_json())
    assert world.log(job.id) == []


def test_a_job_that_was_redriven_is_told_with_its_later_end_alone(world):
    world.answer = 500
    task = world.running()
    world.notify(world.end(task, error=JobError(code="x", message="x")))
    world.pass_time()
    world.update(commands.redrive(task.metadata.job, runtime=world.name, now_s=world.now_s, start_s=60))
    world.answer = 200
    world.pass_time(HOUR_S)
    assert len(world.received) == 1
    world.claim(task)
    world.notify(world.end(task))
    world.pass_time(2 * DAY_S)
    first, second = world.received
    assert (first.data["state"], second.data["state"]) == ("failed", "succeeded")
    assert first.id != second.id


def test_deliveries_are_in_their_tenants_own_message_groups_so_that_others_get_their_turns(world):
    world.ended(tenant="key-1")
    world.ended(tenant="key-2")
    world.pass_time()
    assert sorted(world.sqs.groups) == ["key-1", "key-2"]


# The log, and replay


def test_the_log_is_kept_for_seven_days(world):
    job = world.ended()
    world.pass_time()
    world.now_s += 7 * DAY_S - 10
    assert len(world.operations.deliveries(job)) == 1
    world.now_s += 20
    assert world.operations.deliveries(job) == []


def test_a_delivery_is_replayed_with_its_id_and_no_other_is(world):
    jobs = [world.ended(), world.ended()]
    world.pass_time()
    (row,) = world.operations.deliveries(jobs[0])
    assert world.operations.replay(jobs[0], row.delivery.id)
    world.pass_time(HOUR_S)
    assert [webhook.id for webhook in world.received].count(row.delivery.id) == 2
    assert len(world.received) == 3
    assert world.log(jobs[0]) == [("completed", 2, "delivered")]


def test_a_replay_while_a_retry_waits_takes_its_place(world):
    world.answer = 500
    job = world.ended()
    world.pass_time()
    (row,) = world.operations.deliveries(job)
    world.answer = 200
    for _ in range(2):  # asked twice
        assert world.operations.replay(job, row.delivery.id)
    world.pass_time(2 * DAY_S)
    assert len(world.received) == 2


def test_a_replay_after_the_last_try_is_one_more_try(world):
    world.answer = 500
    job = world.ended()
    world.pass_time(2 * DAY_S)
    tries = len(world.received)
    (row,) = world.operations.deliveries(job)
    assert world.operations.replay(job, row.delivery.id)
    world.pass_time(2 * DAY_S)
    assert len(world.received) == tries + 1
    assert len(world.sqs.dead) == 2


def test_a_replay_switches_a_webhook_on_again_that_410_has_switched_off(world):
    world.answer = 410
    job = world.ended()
    world.pass_time()
    (row,) = world.operations.deliveries(job)
    world.answer = 200
    assert world.operations.replay(job, row.delivery.id)
    world.pass_time()
    assert world.log(job) == [("completed", 2, "delivered")]


def test_what_a_jobs_log_does_not_have_is_not_replayed(world):
    job, other = world.ended(), world.ended()
    world.pass_time()
    (row,) = world.operations.deliveries(other)
    assert not world.operations.replay(job, row.delivery.id)
    assert not world.operations.replay("0", "0-completed-1")
    assert world.sqs.waiting == []
