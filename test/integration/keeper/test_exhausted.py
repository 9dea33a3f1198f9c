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


def abandoned(world):
    task = world.running()
    world.now_s += 1000
    return task


def claimed_meanwhile(world):
    task = world.queued()
    world.wire.meanwhile("UpdateItem", lambda: world.claim(task))
    return task


ENDINGS = [
    # A job, its state after its message was returned, its new notices, and why its message is kept if it is.
    (lambda world: world.running(), JobState.RUNNING, [], []),
    (claimed_meanwhile, JobState.RUNNING, [], []),
    (abandoned, JobState.FAILED, ["failed"], [(UNDELIVERABLE.code, UNDELIVERABLE.message)]),
    (lambda world: world.ended(JobState.SUCCEEDED), JobState.SUCCEEDED, ["succeeded"], []),
    (lambda world: world.ended(JobState.SUCCEEDED, told=True), JobState.SUCCEEDED, [], []),
    (
        lambda world: world.ended(JobState.FAILED, PROBLEM, told=True),
        *(JobState.FAILED, [], [("model_server_failed", "away for good")]),
    ),
]


@pytest.mark.parametrize(("make", "state", "notices", "kept"), ENDINGS)
def test_a_job_stays_its_agents_or_ends_once_and_its_message_is_kept_unless_it_succeeded(
    world, make, state, notices, kept
):
    task = make(world)
    assert world.handle(task) == []
    assert (world.record(task).state, world.record(task).notified) == (state, state.is_final)
    assert [notice["status"] for notice in world.new_notices()] == notices
    assert [one[1:] for one in world.kept()] == kept


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
