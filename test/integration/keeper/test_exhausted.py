import json
import logging

import pytest

from contract.envelope import read_message
from contract.notice import JobError
from jobs.job import JobState
from keeper.exhausted import UNDELIVERABLE
from test.kit.wire import DiedError

PROBLEM = JobError(code="model_server_failed", message="away\nfor good")


def test_a_task_that_no_agent_brought_to_an_end_fails_and_is_told_and_kept_with_the_reason(world):
    task = world.queued(context={"a": 1})
    assert world.handle(task) == []
    record = world.record(task)
    assert (record.state, record.notified, record.due_s) == (JobState.FAILED, True, None)
    [notice] = world.new_notices()
    assert (notice["job"], notice["status"], notice["context"]) == (task.metadata.job, "failed", {"a": 1})
    assert notice.attributes == {"runtime": world.name, "result": "false"}
    assert notice["error"] == UNDELIVERABLE.model_dump()
    assert world.kept() == [(task.to_message(), UNDELIVERABLE.code, UNDELIVERABLE.message)]


def test_a_foreign_task_that_never_was_in_the_table_fails_under_the_job_of_its_envelope(world, envelope):
    body = envelope(world.task(job=None, runtime="legacy", context="c").to_message())
    job = read_message(body, message_id="x", sent_ms=0).job
    world.handle(body)
    assert (world.record(job).state, world.record(job).runtime) == (JobState.FAILED, world.name)
    [notice] = world.new_notices()
    assert (notice["job"], notice["runtime"], notice["context"]) == (job, world.name, "c")
    assert [kept[0] for kept in world.kept()] == [body]


def test_a_job_that_an_agent_has_is_left_to_it_and_the_message_dropped(world):
    task = world.running()
    before = world.record(task)
    assert world.handle(task) == []
    assert world.record(task) == before
    assert (world.new_notices(), world.kept()) == ([], [])


def test_a_job_whose_lease_has_ended_fails(world):
    task = world.running()
    world.now_s += 1000
    world.handle(task)
    assert world.record(task).state is JobState.FAILED
    assert len(world.kept()) == 1


def test_a_job_that_an_agent_claims_just_before_it_would_fail_is_the_agents(world):
    task = world.queued()
    world.wire.meanwhile("UpdateItem", lambda: world.claim(task))
    assert world.handle(task) == []
    assert world.record(task).state is JobState.RUNNING
    assert (world.new_notices(), world.kept()) == ([], [])


@pytest.mark.parametrize("told", [False, True])
def test_the_message_of_a_succeeded_job_is_dropped_once_its_notice_was_sent(world, told):
    task = world.ended(JobState.SUCCEEDED, told=told)
    world.handle(task)
    notices = world.new_notices()
    assert [notice["status"] for notice in notices] == ([] if told else ["succeeded"])
    assert all(len(notice["image_url"]) == 1 for notice in notices)
    assert world.record(task).notified
    assert world.kept() == []


def test_the_message_of_a_job_that_its_agent_failed_is_kept_with_the_agents_reason_on_one_line(world):
    world.handle(world.ended(JobState.FAILED, PROBLEM, told=True))
    assert world.new_notices() == []
    assert [kept[1:] for kept in world.kept()] == [("model_server_failed", "away for good")]


def test_an_unreadable_message_is_told_where_its_id_can_be_read_and_kept(world):
    bodies = ['{"metadata": {"id": "a/b", "context": 7}}', "no json", json.dumps("x" * 500)]
    assert world.handle(*bodies) == []
    [notice] = world.new_notices()
    assert (notice["id"], notice["context"], notice["error"]["code"]) == ("a/b", 7, "unreadable_message")
    kept = world.kept()
    assert [one[0] for one in kept] == bodies
    assert all(code == "unreadable_message" and 0 < len(reason) <= 256 for _, code, reason in kept)


def test_the_runtime_is_what_follows_the_prefix_in_its_queues_name(world):
    returned = world.aws.make_queue(f"sdoneksStack-{world.name}-returned", redrive_to=f"{world.name}-dead")

    world.messages.handle(world.event('{"metadata": {"id": "a"}}', queue_url=returned))

    assert [notice["runtime"] for notice in world.new_notices()] == [world.name]


def test_a_message_in_a_newer_format_is_kept_unchanged_and_not_told(world):
    body = '{"metadata": {"schema": 99, "id": "a"}}'
    assert world.handle(body) == []
    assert world.new_notices() == []
    [(kept, code, reason)] = world.kept()
    assert (kept, code) == (body, "schema_too_new")
    assert "99" in reason


def test_a_message_that_cannot_be_handled_is_delivered_again_and_the_others_are_not(world):
    bad, good = world.queued(), world.queued()
    item = {"pk": {"S": bad.metadata.job}, "state": {"S": "no state"}}
    world.aws.dynamodb.put_item(TableName=world.store.table, Item=item)
    assert world.handle(bad, good) == [0]
    assert world.record(good).notified


def test_a_message_of_a_queue_without_a_dead_queue_stays_where_it_is(world):
    task = world.queued()
    event = world.event(task, queue_url=world.dead_queue)
    result = world.messages.handle(event)
    assert result == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}


def test_neither_context_nor_prompt_is_logged(world, caplog):
    caplog.set_level(logging.DEBUG, logger="keeper")
    world.handle(world.queued(context="private"), "no json")
    world.reap()
    assert "returned" in caplog.text
    assert "private" not in caplog.text
    assert "secret" not in caplog.text


SOURCES = {
    "queued": lambda world: world.queued(),
    "foreign": lambda world: world.task(),
    "succeeded": lambda world: world.ended(JobState.SUCCEEDED),
    "failed": lambda world: world.ended(JobState.FAILED, PROBLEM),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_crash_between_any_two_steps_loses_nothing_and_repeats_at_most_the_notice_and_the_kept_message(world, source):
    step = 0
    crashed = True
    while crashed:
        step += 1
        task = SOURCES[source](world)
        world.start_keeper()
        world.wire.die_before(step)
        event = world.event(task)
        try:
            world.messages.handle(event)
            crashed = False
        except DiedError:
            assert world.messages.handle(event) == {"batchItemFailures": []}
        assert len(world.new_notices()) in {1, 2}, step
        kept = [body for body, *_ in world.kept()]
        assert set(kept) == (set() if source == "succeeded" else {task.to_message()}), step
        assert len(kept) <= 2
        record = world.record(task)
        assert (record.state.is_final, record.notified) == (True, True), step
    assert step > (3 if source == "succeeded" else 6)
