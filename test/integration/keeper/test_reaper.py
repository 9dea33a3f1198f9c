import json
import threading

import pytest

from contract.deadlines import DEFAULT_DEADLINES
from contract.ids import new_job_id
from contract.notice import JobError
from contract.objects import content_key
from contract.queues import Priority
from contract.task import Task
from jobs import commands, requests
from jobs.commands import CLOCK_MARGIN_S, LOST_MESSAGE_S, NOTICE_DUE_S, PUBLISH_DUE_S
from jobs.job import JobState
from keeper import reaper
from test.kit.jobs import LEASE_S
from test.kit.wire import DiedError

PROBLEM = JobError(code="execution_failed", message="no such node")
START_S = DEFAULT_DEADLINES.start_s
RICH = {
    "context": {"a": [1, None]},
    "prefix": "x/y",
    "tenant": "t1",
    "deadlines": {"start_seconds": 7200, "execution_seconds": 60},
}


def put_content(world, task):
    world.upload(content_key(task.metadata.job), b'{"prompt":"long"}')


def forget_start_by(world, task):
    """Make a job's item one that an earlier version wrote."""
    world.aws.dynamodb.update_item(
        TableName=world.store.table, Key={"pk": {"S": task.metadata.job}}, UpdateExpression="REMOVE start_by"
    )


def test_a_stale_accepted_job_whose_content_lies_in_the_bucket_is_published_as_the_door_did(world):
    task = world.accepted(start_s=7200, **RICH)
    put_content(world, task)
    assert world.reap(after_s=PUBLISH_DUE_S + 1) == {"republished": 1}
    [message] = world.aws.take(world.queue)
    envelope = json.loads(message["Body"])
    again = Task.model_validate_json(envelope["Message"])
    created_s = world.record(task).created_s
    assert again.metadata.submitted_at.timestamp() == pytest.approx(created_s, abs=0.001)
    assert again.metadata == task.metadata.model_copy(update={"submitted_at": again.metadata.submitted_at})
    assert again.content_url == f"s3://{world.bucket}/{content_key(task.metadata.job)}"
    assert envelope["MessageAttributes"]["runtime"]["Value"] == world.name
    assert message["Attributes"]["MessageGroupId"] == "t1"
    assert (world.record(task).state, world.record(task).due_s) == (JobState.QUEUED, pytest.approx(world.now_s + 1200))


@pytest.mark.parametrize(
    ("asked", "start_s"), [(None, START_S), ({"start_seconds": 120}, 120), ({"execution_seconds": 9}, START_S)]
)
@pytest.mark.parametrize("is_older", [False, True])
def test_a_stale_accepted_job_without_content_in_the_bucket_waits_for_its_start_deadline(
    world, asked, start_s, is_older
):
    task = world.accepted(deadlines=asked, start_s=start_s)
    if is_older:
        forget_start_by(world, task)
    created_s = world.now_s
    assert world.reap(after_s=PUBLISH_DUE_S + 1) == {"postponed": 1}
    record = world.record(task)
    assert (record.state, record.due_s) == (JobState.ACCEPTED, pytest.approx(created_s + start_s))
    assert world.reap(after_s=start_s + 1) == {"ended": 1, "told": 1}
    assert world.aws.take(world.queue) == []


def test_the_notice_of_a_job_that_no_agent_began_says_how_long_it_waited_and_what_to_look_at(world):
    world.queued(start_s=7200)
    world.reap(after_s=7201)
    [notice] = world.new_notices()
    assert notice["error"]["message"].startswith("No agent began the task within 2 h. See whether runtime ")


def test_many_jobs_are_looked_at_beside_each_other(world):
    tasks = [world.queued() for _ in range(20)]
    together = threading.Barrier(4, timeout=60)
    world.wire.meanwhile("GetItem", together.wait, times=together.parties)
    assert world.reap(after_s=3601) == {"ended": 20, "told": 20}
    assert all(world.record(task).notified for task in tasks)


def in_shard_0():
    return f"{new_job_id()[:-1]}0"


def accepted(world):
    return world.accepted(start_s=START_S, job=in_shard_0())


def large(world):
    """An accepted job whose content is in the bucket."""
    task = accepted(world)
    put_content(world, task)
    return task


def queued(world):
    return world.queued(job=in_shard_0())


def running(world):
    return world.running(job=in_shard_0())


def renewed(world):
    task = world.running()
    world.now_s += LEASE_S + 3601
    world.update(world.renewal(task))
    return task


def older(world):
    """A running job that an earlier version wrote, which waits as long as the keeper says."""
    task = running(world)
    forget_start_by(world, task)
    return task


def to_be_cancelled(world):
    task = running(world)
    world.update(commands.request_cancel(task.metadata.job, world.now_s))
    return task


def to_be_cancelled_and_renewed(world):
    task = to_be_cancelled(world)
    world.now_s += NOTICE_DUE_S + 1
    world.update(world.renewal(task))
    return task


def succeeded(world):
    return world.ended(JobState.SUCCEEDED)


def failed(world):
    return world.ended(JobState.FAILED, PROBLEM, job=in_shard_0())


def cancelled(world):
    return world.ended(JobState.CANCELLED, PROBLEM)


ENDED, TOLD, POSTPONED = {"ended": 1, "told": 1}, {"told": 1}, {"postponed": 1}
WAYS = [
    # A job, what the reaper counts in each run after so many seconds, and what its only notice says.
    (queued, [(3601, ENDED), (10_000, {})], "failed", "start_deadline_exceeded"),
    (running, [(LEASE_S + 3601, ENDED), (10_000, {})], "failed", "lost"),
    (older, [(LEASE_S + 3601, POSTPONED), (START_S - 3602, {}), (2, ENDED)], "failed", "lost"),
    (renewed, [(0, POSTPONED), (50 + 3599, {}), (2, ENDED)], "failed", "lost"),
    (to_be_cancelled, [(NOTICE_DUE_S + 1, ENDED)], "cancelled", "cancelled"),
    (to_be_cancelled_and_renewed, [(0, POSTPONED), (49 + CLOCK_MARGIN_S, {}), (2, ENDED)], "cancelled", "cancelled"),
    (succeeded, [(NOTICE_DUE_S - 1, {}), (2, TOLD), (10_000, {})], "succeeded", None),
    (failed, [(NOTICE_DUE_S - 1, {}), (2, TOLD), (10_000, {})], "failed", PROBLEM.code),
    (cancelled, [(NOTICE_DUE_S - 1, {}), (2, TOLD), (10_000, {})], "cancelled", PROBLEM.code),
]


@pytest.mark.parametrize(("make", "runs", "status", "code"), WAYS)
def test_a_job_that_nobody_brings_to_an_end_or_tells_of_is_ended_at_its_time_and_told_once(
    world, make, runs, status, code
):
    task = make(world)
    for after_s, counted in runs:
        assert world.reap(after_s=after_s) == counted
    [notice] = world.new_notices()
    assert (notice["job"], notice["status"], (notice.get("error") or {}).get("code")) == (
        task.metadata.job,
        status,
        code,
    )
    assert world.record(task).notified


def test_a_bad_job_does_not_stop_the_others_and_is_counted(world):
    bad, good = world.queued(), world.queued()
    world.aws.dynamodb.update_item(
        TableName=world.store.table,
        Key={"pk": {"S": bad.metadata.job}},
        UpdateExpression="SET context = :broken",
        ExpressionAttributeValues={":broken": {"S": "{"}},
    )
    assert world.reap(after_s=3601) == {"ended": 1, "told": 1, "failed": 1}
    assert world.record(good).notified


def claim(world, task):
    world.claim(task, token="other")


def claim_and_release(world, task):
    world.claim(task)
    world.release(task)


def complete(world, task):
    world.update(commands.complete(task.metadata.job, "token", JobState.SUCCEEDED, now_s=world.now_s, attempts=1))


def redrive(world, task):
    world.update(commands.redrive(task.metadata.job, runtime=world.name, now_s=world.now_s, start_s=3600))


RACES = [
    # A job, after how long it is looked at, what somebody does to it, the state that it has then, and what is counted.
    (accepted, PUBLISH_DUE_S + 1, claim, JobState.RUNNING, {}),
    (large, PUBLISH_DUE_S + 1, claim, JobState.RUNNING, {"republished": 1}),
    (queued, 3601, claim, JobState.RUNNING, {}),
    (queued, 3601, claim_and_release, JobState.QUEUED, {}),
    (running, LEASE_S + 3601, claim, JobState.RUNNING, {}),
    (renewed, 0, complete, JobState.SUCCEEDED, {}),
    (failed, NOTICE_DUE_S + 1, redrive, JobState.QUEUED, {"told": 1}),
]


@pytest.mark.parametrize("race", RACES)
def test_a_job_that_somebody_changes_between_the_reapers_read_and_its_write_stays_as_it_is_then(world, race):
    make, after_s, event, state, counted = race
    task = make(world)
    world.wire.meanwhile("UpdateItem", lambda: event(world, task))
    assert world.reap(after_s=after_s) == counted
    record = world.record(task)
    assert (record.state, record.notified, record.due_s is None) == (state, False, False)
    assert len(world.new_notices()) == counted.get("told", 0)


def test_a_job_that_is_erased_meanwhile_is_no_fault(world):
    task = world.queued()
    key = {"pk": {"S": task.metadata.job}}
    world.wire.meanwhile("GetItem", lambda: world.aws.dynamodb.delete_item(TableName=world.store.table, Key=key))
    assert world.reap(after_s=3601) == {}


@pytest.mark.parametrize("make", [accepted, large, queued, running, failed])
def test_a_crash_between_any_two_calls_is_made_good_by_later_runs_and_every_job_is_told(world, make, monkeypatch):
    monkeypatch.setattr(reaper, "DUE_SHARDS", ("0",))
    step, crashed = 0, True
    while crashed:
        step += 1
        task = make(world)
        world.wire.clear()
        world.wire.die_before(step)
        crashed = False
        for after_s in (4000, 4000, START_S, START_S, NOTICE_DUE_S + 1):
            try:
                world.reap(after_s=after_s)
            except DiedError:
                crashed = True
            if world.record(task).notified:
                break
        told = [notice for notice in world.new_notices() if notice["job"] == task.metadata.job]
        assert len(told) in {1, 2}, step
        record = world.record(task)
        assert (record.state.is_final, record.notified, record.due_s) == (True, True, None), step
        assert len(world.aws.take(world.queue)) >= (make is large)
    assert step > 4


def test_every_page_of_every_shard_of_the_index_is_read(world):
    jobs = [f"{new_job_id()[:-1]}{digit}" for digit in "0123" for _ in range(25)]
    for job in jobs:
        world.accepted(job=job)
    events = world.watched_clients["dynamodb"].meta.events
    event = "provide-client-params.dynamodb.Query"

    def cut(params, **_):
        return {**params, "Limit": 10}  # a real page would hold thousands

    events.register(event, cut)
    assert world.reap(after_s=PUBLISH_DUE_S + 1) == {"postponed": 100}
    events.unregister(event, cut)
    assert all(world.record(job).due_s > world.now_s + PUBLISH_DUE_S + 1 for job in jobs)


def test_a_run_that_takes_too_long_ends_and_the_next_one_goes_on(world, monkeypatch):
    world.queued()
    with monkeypatch.context() as patch:
        patch.setattr(reaper, "_BUDGET_S", -1)
        assert world.reap(after_s=3601) == {}
    assert world.reap() == {"ended": 1, "told": 1}


@pytest.mark.parametrize("is_large", [False, True])
def test_a_waiting_job_whose_message_was_lost_is_published_again_from_what_was_kept_of_its_request(world, is_large):
    task = world.task(id="lost", tenant="t1", keep=["preview"])
    if is_large:
        world.upload(content_key(task.metadata.job), json.dumps(task.content).encode())
    else:
        request = requests.pack(task.content)
        world.store.run(requests.keep(task.metadata.job, world.now_s, request=request))
    start_by_s = world.now_s + 7200
    world.update(commands.accept(task, world.now_s, start_by_s=start_by_s))
    world.update(commands.published(task.metadata.job, now_s=world.now_s, start_by_s=start_by_s))
    assert world.reap(after_s=LOST_MESSAGE_S + 1) == {"republished": 1, "postponed": 1}
    [message] = world.aws.take(world.queue)
    again = Task.model_validate_json(json.loads(message["Body"])["Message"])
    assert (again.metadata.job, again.metadata.tenant, again.metadata.keep) == (task.metadata.job, "t1", ("preview",))
    assert (again.content is None) == is_large
    assert world.reap(after_s=60) == {}


def test_a_waiting_job_whose_runtimes_queue_is_not_empty_or_gone_is_left_alone(world):
    world.aws.sqs.send_message(QueueUrl=world.queue, MessageBody="another job's")
    task = world.queued(start_s=7200)
    assert world.reap(after_s=LOST_MESSAGE_S + 1) == {"postponed": 1}
    world.aws.take(world.queue)
    world.aws.dynamodb.update_item(
        TableName=world.store.table,
        Key={"pk": {"S": task.metadata.job}},
        UpdateExpression="SET runtime = :gone",
        ExpressionAttributeValues={":gone": {"S": "gone"}},
    )
    assert world.reap(after_s=LOST_MESSAGE_S + 1) == {"postponed": 1}
    assert world.aws.take(world.queue) == []


@pytest.mark.parametrize("has_priorities", [True, False])
def test_a_lost_message_of_a_priority_is_looked_for_in_its_queue_and_published_to_it_or_to_the_only_one(
    make_world, has_priorities
):
    world = make_world(priorities=has_priorities)
    task = world.task(id="lost", priority="high")
    world.store.run(requests.keep(task.metadata.job, world.now_s, request=requests.pack(task.content)))
    start_by_s = world.now_s + 7200
    world.update(commands.accept(task, world.now_s, start_by_s=start_by_s))
    world.update(commands.published(task.metadata.job, now_s=world.now_s, start_by_s=start_by_s))
    looked_at = world.queues.get(Priority.HIGH, world.queue)
    world.aws.sqs.send_message(QueueUrl=looked_at, MessageBody="another job's")
    if has_priorities:
        world.send("another job's")
    assert world.reap(after_s=LOST_MESSAGE_S + 1) == {"postponed": 1}
    world.aws.take(looked_at)
    assert world.reap(after_s=LOST_MESSAGE_S + 1) == {"republished": 1, "postponed": 1}
    [message] = world.aws.take(looked_at)
    again = Task.model_validate_json(json.loads(message["Body"])["Message"])
    assert (again.metadata.job, again.metadata.priority) == (task.metadata.job, Priority.HIGH)
