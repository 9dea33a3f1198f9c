"""The jobs table's rules, asked of DynamoDB's own expressions."""

import json
import random
import uuid

import pytest

from contract.notice import JobError
from jobs import commands, queries, requests
from jobs.beacon import KEPT_S, Beacon, announce, beacons_of
from jobs.commands import CLOCK_MARGIN_S, NOTICE_DUE_S, PUBLISH_DUE_S
from jobs.job import AlreadyFinished, Claim, ClaimDenied, JobState, Progress
from jobs.schema import DUE_SHARDS, KEY, QUEUE_SHARDS, agent_pk
from test.kit.jobs import LEASE_S, JobsTable

START_BY_S = 2e9
PROBLEM = JobError(code="execution_failed", message="no such node")


@pytest.fixture
def jobs(aws):
    return JobsTable(aws.dynamodb, uuid.uuid4().hex[:8])


def claimed(jobs, task, token="token", after_s=0, **options):
    """Claim a task's job; the job then, or None if the claim was denied."""
    answer = jobs.claim(task, token, now_s=jobs.now_s + after_s, **options)
    return jobs.record(task) if isinstance(answer, Claim) else None


def complete(jobs, task, state=JobState.SUCCEEDED, **options):
    """What an agent writes that has brought a job to its end."""
    return commands.complete(task.metadata.job, "token", state, now_s=jobs.now_s, **{"attempts": 1, **options})


def test_an_item_holds_no_prompt(aws, jobs):
    task = jobs.queued()
    assert claimed(jobs, task)
    item = aws.dynamodb.get_item(TableName=jobs.store.table, Key={"pk": {"S": task.metadata.job}})["Item"]
    assert "secret" not in json.dumps(item)


def test_a_job_is_accepted_once(jobs):
    task = jobs.accepted()
    assert not jobs.store.run(commands.accept(task, jobs.now_s, start_by_s=START_BY_S)).done


def test_a_foreign_message_is_entered_by_its_claim_with_its_start_deadline(jobs):
    task = jobs.task(context={"a": [1, 2.5, None]}, prefix="x/y")
    record = claimed(jobs, task, runtime="mine", start_s=7200)
    assert (record.state, record.runtime, record.claims, record.attempts) == (JobState.RUNNING, "mine", 1, 0)
    assert (record.context, record.prefix, record.task_id) == ({"a": [1, 2.5, None]}, "x/y", "a")
    assert record.start_by_s == pytest.approx(record.created_s + 7200, abs=0.01)


def test_a_claim_keeps_what_the_door_has_written(jobs):
    task = jobs.queued(tenant="t1")
    before = jobs.record(task)
    record = claimed(jobs, task, after_s=50, runtime="other", start_s=1)
    assert (record.created_s, record.start_by_s, record.runtime) == (before.created_s, before.start_by_s, jobs.name)


@pytest.mark.parametrize(("after_s", "taken"), [(0, False), (LEASE_S, False), (LEASE_S + CLOCK_MARGIN_S + 1, True)])
def test_a_job_is_taken_from_an_agent_only_when_its_lease_has_ended_for_longer_than_clocks_differ(jobs, after_s, taken):
    task = jobs.queued()
    assert claimed(jobs, task, "first")
    answer = jobs.claim(task, "second", now_s=jobs.now_s + after_s)
    denial = ClaimDenied(pytest.approx(LEASE_S + CLOCK_MARGIN_S - after_s, abs=0.01))
    assert isinstance(answer, Claim) if taken else answer == denial


def test_only_the_agent_that_has_a_job_renews_releases_and_completes_it(jobs):
    task = jobs.queued()
    job = task.metadata.job
    claimed(jobs, task, "first")
    claimed(jobs, task, "second", after_s=LEASE_S + CLOCK_MARGIN_S + 1)
    late = [
        commands.renew(job, "first", until_s=jobs.now_s, start_by_s=START_BY_S, attempts=1, progress=None),
        commands.release(job, "first", runtime=jobs.name, attempts=1, is_blameless=False, start_by_s=jobs.now_s),
        commands.complete(job, "first", JobState.SUCCEEDED, now_s=jobs.now_s, attempts=1),
    ]
    assert [jobs.store.run(command).done for command in late] == [False] * 3
    assert jobs.record(task).lease_until_s > jobs.now_s + LEASE_S


def test_a_renewal_counts_the_attempt_and_moves_the_deadlines_and_its_answer_as_a_read_shows_a_wish_to_cancel(jobs):
    task = jobs.queued()
    job, until_s = task.metadata.job, jobs.now_s + 200
    claimed(jobs, task)
    assert not jobs.store.run(queries.cancel_requested(job))
    jobs.store.run(commands.request_cancel(job, jobs.now_s))
    assert jobs.store.run(queries.cancel_requested(job))
    renewal = {"until_s": until_s, "start_by_s": START_BY_S, "attempts": 1, "progress": Progress(fraction=0.25)}
    record = jobs.store.run(commands.renew(job, "token", **renewal)).job
    assert (record.cancel_requested, record.attempts, record.start_by_s) == (True, 1, START_BY_S)
    assert record.lease_until_s == pytest.approx(until_s, abs=0.01)


def test_a_job_that_nobody_runs_cannot_be_asked_to_stop(jobs):
    task = jobs.queued()
    assert not jobs.store.run(commands.request_cancel(task.metadata.job, jobs.now_s)).done


def test_a_released_job_is_claimed_at_once_with_a_new_start_deadline_and_its_releases_are_counted_apart(jobs):
    task = jobs.queued()
    release = {"runtime": jobs.name, "attempts": 0, "is_blameless": True, "start_by_s": START_BY_S}
    for _ in range(2):
        claimed(jobs, task)
        jobs.store.run(commands.release(task.metadata.job, "token", **release))
    record = jobs.record(task)
    assert (record.start_by_s, record.due_s) == (START_BY_S, START_BY_S)
    record = claimed(jobs, task, "next")
    assert (record.releases, record.attempts, record.claims) == (2, 0, 3)


def test_an_agent_whose_answer_was_lost_knows_its_own_claim_and_its_own_ending(jobs):
    task = jobs.queued()
    assert jobs.claim(task) == jobs.claim(task)
    for _ in range(2):
        assert jobs.store.run(complete(jobs, task)).done
    assert isinstance(jobs.claim(task), AlreadyFinished)


def test_a_finished_job_tells_by_its_notice_where_its_pictures_are(jobs):
    task = jobs.queued(context=[1], prefix="p")
    claimed(jobs, task)
    notice = jobs.update(complete(jobs, task, pictures=("png", "mp4"))).notice("bucket")
    assert [url.rpartition(".")[2] for url in notice.image_url] == ["png", "mp4"]
    assert notice.image_url[1].startswith("s3://bucket/p/a/a-")
    assert (notice.result, notice.context, notice.status) == (True, [1], "succeeded")
    assert notice.output_url.endswith(".out")


def test_an_ended_job_is_neither_claimed_nor_ended_again(jobs):
    task = jobs.queued()
    job = task.metadata.job
    claimed(jobs, task)
    jobs.update(complete(jobs, task, JobState.FAILED, error=PROBLEM))
    assert not claimed(jobs, task, "next", after_s=10_000)
    seen = {"now_s": jobs.now_s + 10_000, "seen_due_s": jobs.record(task).due_s}
    assert not jobs.store.run(commands.give_up(job, JobState.CANCELLED, PROBLEM, **seen)).done
    assert jobs.record(task).error == PROBLEM


def test_a_job_that_is_given_up_stays_as_it_was_entered(jobs):
    task = jobs.queued(tenant="t1")
    before = jobs.record(task)
    jobs.store.run(commands.enter_given_up(task, task.metadata.job, PROBLEM, runtime="other", now_s=jobs.now_s + 50))
    record = jobs.record(task)
    assert (record.created_s, record.runtime, record.tenant) == (before.created_s, jobs.name, "t1")


def test_every_open_job_is_due_some_day_and_a_told_one_never(jobs):
    accepted, queued, running, ended, told = jobs.accepted(), *(jobs.queued() for _ in range(4))
    for task in (running, ended, told):
        jobs.claim(task)
    for task in (ended, told):
        jobs.update(complete(jobs, task))
    jobs.update(commands.notified(told.metadata.job, jobs.now_s))
    for after_s, tasks in (
        (PUBLISH_DUE_S - 1, []),
        (PUBLISH_DUE_S, [accepted]),
        (NOTICE_DUE_S, [accepted, ended]),
        (10_000, [accepted, queued, running, ended]),
    ):
        due = {job for shard in DUE_SHARDS for job in jobs.store.due(shard, jobs.now_s + after_s)}
        assert due == {task.metadata.job for task in tasks}
    assert (jobs.record(told).notified, jobs.record(ended).notified) == (True, False)


def test_only_a_failed_job_is_begun_anew_and_with_nothing_of_its_former_end(jobs):
    task = jobs.queued()
    job = task.metadata.job
    redrive = commands.redrive(job, runtime=jobs.name, now_s=jobs.now_s, start_s=60)
    assert not jobs.store.run(redrive).done
    claimed(jobs, task)
    jobs.update(complete(jobs, task, JobState.FAILED, attempts=5, error=PROBLEM))
    jobs.store.run(commands.notified(job, jobs.now_s))
    assert jobs.store.run(redrive).done
    assert not jobs.store.run(redrive).done
    record = claimed(jobs, task, "again")
    assert (record.redrives, record.attempts, record.notified, record.error) == (1, 0, False, None)


def test_each_change_that_a_caller_sees_has_the_next_version(jobs):
    task = jobs.accepted()
    job, versions = task.metadata.job, [jobs.record(task).version]
    claimed(jobs, task)
    versions.append(jobs.record(task).version)
    renewal = {"until_s": jobs.now_s + 90, "start_by_s": START_BY_S, "attempts": 1}
    jobs.store.run(commands.renew(job, "token", **renewal, progress=None))
    versions.append(jobs.record(task).version)
    jobs.store.run(commands.renew(job, "token", **renewal, progress=Progress(step=3, steps=4, stage="sampling")))
    record = jobs.record(task)
    assert (*versions, record.version) == (1, 2, 2, 3)
    assert (record.step, record.steps, record.stage, record.progress) == (3, 4, "sampling", None)
    record = jobs.update(commands.renew(job, "token", **renewal, progress=Progress(fraction=0.5, stage="decoding")))
    assert (record.step, record.steps, record.stage, record.progress) == (None, None, "decoding", 0.5)


def test_a_tenants_jobs_are_listed_page_by_page_the_newest_first_and_no_other_tenants(jobs):
    tasks = [jobs.queued(id=f"task-{number}", tenant="ours") for number in range(5)]
    jobs.queued(id="theirs", tenant="theirs")
    claimed(jobs, tasks[1])
    listed, last = [], None
    while not listed or last:
        page = jobs.store.run(queries.tenants_jobs("ours", start=last, limit=2, states=[JobState.QUEUED]))
        listed += [row["task_id"] for row in page.rows]
        last = page.last
    assert listed == ["task-4", "task-3", "task-2", "task-0"]
    found = jobs.store.get_many([task.metadata.job for task in tasks])
    assert [found[task.metadata.job].task_id for task in tasks] == [f"task-{number}" for number in range(5)]


def test_a_job_waits_in_its_runtimes_queue_until_an_agent_has_it(jobs):
    def waiting(before=None):
        counts = (queries.waiting(jobs.name, shard, before=before, most=1000) for shard in QUEUE_SHARDS)
        return sum(map(jobs.store.run, counts))

    tasks = [jobs.queued() for _ in range(3)]
    assert [waiting(task.metadata.job) for task in tasks] == [0, 1, 2]
    claimed(jobs, tasks[0])
    assert waiting() == 2
    release = {"runtime": jobs.name, "attempts": 0, "is_blameless": False, "start_by_s": START_BY_S, "reason": "busy"}
    jobs.store.run(commands.release(tasks[0].metadata.job, "token", **release))
    assert (waiting(), jobs.record(tasks[0]).retry_reason) == (3, "busy")
    jobs.store.run(commands.cancel_waiting(tasks[1].metadata.job, PROBLEM, now_s=jobs.now_s))
    assert (waiting(), jobs.record(tasks[1]).state) == (2, "cancelled")
    assert not jobs.store.run(commands.cancel_waiting(tasks[1].metadata.job, PROBLEM, now_s=jobs.now_s)).done


def test_a_request_is_kept_unless_it_is_too_large(jobs):
    task = jobs.task()
    request = requests.pack(task.content)
    jobs.store.run(requests.keep(task.metadata.job, jobs.now_s, request=request))
    assert jobs.store.run(requests.content(task.metadata.job)) == task.content
    assert jobs.store.run(requests.content(jobs.queued().metadata.job)) is None
    assert requests.pack({"noise": random.Random(1).randbytes(20_000).hex()}) is None


def test_beacons_are_read_to_the_last_however_many_megabytes_they_are(aws, jobs):
    for number in range(12):
        ago_s = KEPT_S + 1 if number < 4 else 0  # the first page has none that counts
        beacon = Beacon(owner=f"{number:02}", ready=True, devices=1, running=0, seconds=5, seen_s=jobs.now_s - ago_s)
        jobs.store.run(announce(jobs.name, beacon))
        aws.dynamodb.update_item(
            TableName=jobs.store.table,
            Key={KEY: {"S": agent_pk(jobs.name, beacon.owner)}},
            UpdateExpression="SET ballast = :ballast",
            ExpressionAttributeValues={":ballast": {"S": "x" * 300_000}},
        )
    page = jobs.store.run(beacons_of(jobs.name, jobs.now_s - KEPT_S))
    assert page.last_key is not None
    assert [beacon.owner for beacon in jobs.store.beacons(jobs.name, jobs.now_s)] == [f"{n:02}" for n in range(4, 12)]
