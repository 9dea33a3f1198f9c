"""The jobs table's rules, asked of DynamoDB's own expressions."""

import json

import pytest

from contract.notice import JobError
from jobs import commands
from jobs.commands import CLOCK_MARGIN_S, NOTICE_DUE_S, PUBLISH_DUE_S
from jobs.job import AlreadyFinished, ClaimDenied, JobState

LEASE_S = 85
START_BY_S = 2e9
PROBLEM = JobError(code="execution_failed", message="no such node")


def test_an_item_holds_no_prompt(jobs):
    task = jobs.queued()
    assert jobs.claimed(task)
    item = jobs.dynamodb.get_item(TableName=jobs.table, Key={"pk": {"S": task.metadata.job}})["Item"]
    assert "secret" not in json.dumps(item)


def test_a_job_is_accepted_once(jobs):
    task = jobs.task()
    assert jobs.run(commands.accept(task, jobs.now_s, start_by_s=START_BY_S)).done
    assert not jobs.run(commands.accept(task, jobs.now_s, start_by_s=START_BY_S)).done


def test_a_foreign_message_is_entered_by_its_claim_with_its_start_deadline(jobs):
    task = jobs.task(context={"a": [1, 2.5, None]}, prefix="x/y")
    record = jobs.claimed(task, runtime="mine", start_s=7200)
    assert (record.state, record.runtime, record.claims, record.attempts) == (JobState.RUNNING, "mine", 1, 0)
    assert (record.context, record.prefix, record.task_id) == ({"a": [1, 2.5, None]}, "x/y", "a")
    assert record.start_by_s == pytest.approx(record.created_s + 7200, abs=0.01)


def test_a_claim_keeps_what_the_door_has_written(jobs):
    task = jobs.queued(tenant="t1")
    before = jobs.job(task)
    record = jobs.claimed(task, after_s=50, runtime="other", start_s=1)
    assert (record.created_s, record.start_by_s, record.runtime) == (before.created_s, before.start_by_s, "r")


@pytest.mark.parametrize(("after_s", "taken"), [(0, False), (LEASE_S, False), (LEASE_S + CLOCK_MARGIN_S + 1, True)])
def test_a_job_is_taken_from_an_agent_only_when_its_lease_has_ended_for_longer_than_clocks_differ(jobs, after_s, taken):
    task = jobs.queued()
    assert jobs.claimed(task, "first")
    assert bool(jobs.claimed(task, "second", after_s=after_s)) is taken


def test_a_refused_claim_answers_with_the_job_as_it_is(jobs):
    task = jobs.queued()
    jobs.claimed(task, "first")
    denied = jobs.claim(task, "second")
    assert denied == ClaimDenied(pytest.approx(LEASE_S + CLOCK_MARGIN_S, abs=0.01))


def test_only_the_agent_that_has_a_job_renews_releases_and_completes_it(jobs):
    task = jobs.queued()
    job = task.metadata.job
    jobs.claimed(task, "first")
    jobs.claimed(task, "second", after_s=LEASE_S + CLOCK_MARGIN_S + 1)
    late = [
        commands.renew(job, "first", until_s=jobs.now_s, start_by_s=START_BY_S, attempts=1, progress=None),
        commands.release(job, "first", attempts=1, is_blameless=False, start_by_s=jobs.now_s),
        commands.complete(job, "first", JobState.SUCCEEDED, now_s=jobs.now_s, attempts=1),
    ]
    assert [jobs.run(command).done for command in late] == [False] * 3
    assert jobs.job(task).lease_until_s > jobs.now_s + LEASE_S


def test_a_renewal_counts_the_attempt_moves_the_deadlines_and_shows_that_the_job_is_to_be_cancelled(jobs):
    task = jobs.queued()
    job, until_s = task.metadata.job, jobs.now_s + 200
    jobs.claimed(task)
    jobs.run(commands.request_cancel(job, jobs.now_s))
    renewal = {"until_s": until_s, "start_by_s": START_BY_S, "attempts": 1, "progress": 0.25}
    record = jobs.run(commands.renew(job, "token", **renewal)).job
    assert (record.cancel_requested, record.attempts, record.start_by_s) == (True, 1, START_BY_S)
    assert record.lease_until_s == pytest.approx(until_s, abs=0.01)


def test_a_job_that_nobody_runs_cannot_be_asked_to_stop(jobs):
    task = jobs.queued()
    assert not jobs.run(commands.request_cancel(task.metadata.job, jobs.now_s)).done


def test_a_released_job_is_claimed_at_once_with_a_new_start_deadline_and_its_releases_are_counted_apart(jobs):
    task = jobs.queued()
    release = {"attempts": 0, "is_blameless": True, "start_by_s": START_BY_S}
    for _ in range(2):
        jobs.claimed(task)
        jobs.run(commands.release(task.metadata.job, "token", **release))
    record = jobs.job(task)
    assert (record.start_by_s, record.due_s) == (START_BY_S, START_BY_S)
    record = jobs.claimed(task, "next")
    assert (record.releases, record.attempts, record.claims) == (2, 0, 3)


def test_an_agent_whose_answer_was_lost_knows_its_own_claim_and_its_own_ending(jobs):
    task = jobs.queued()
    assert jobs.claim(task) == jobs.claim(task)
    complete = commands.complete(task.metadata.job, "token", JobState.FAILED, now_s=jobs.now_s, attempts=1)
    assert jobs.run(complete).done
    assert jobs.run(complete).done
    assert isinstance(jobs.claim(task), AlreadyFinished)


def test_a_finished_job_tells_by_its_notice_where_its_pictures_are(jobs):
    task = jobs.queued(context=[1], prefix="p")
    jobs.claimed(task)
    finish = commands.complete(
        task.metadata.job, "token", JobState.SUCCEEDED, now_s=jobs.now_s, attempts=1, pictures=("png", "mp4")
    )
    jobs.run(finish)
    notice = jobs.job(task).notice("bucket")
    assert [url.rpartition(".")[2] for url in notice.image_url] == ["png", "mp4"]
    assert notice.image_url[1].startswith("s3://bucket/p/a/a-")
    assert (notice.result, notice.context, notice.status) == (True, [1], "succeeded")
    assert notice.output_url.endswith(".out")


def test_an_ended_job_is_neither_claimed_nor_ended_again(jobs):
    task = jobs.queued()
    job = task.metadata.job
    jobs.claimed(task)
    jobs.run(commands.complete(job, "token", JobState.FAILED, now_s=jobs.now_s, attempts=1, error=PROBLEM))
    assert not jobs.claimed(task, "next", after_s=10_000)
    seen = {"now_s": jobs.now_s + 10_000, "seen_due_s": jobs.job(task).due_s}
    assert not jobs.run(commands.give_up(job, JobState.CANCELLED, PROBLEM, **seen)).done
    assert jobs.job(task).error == PROBLEM


def test_a_job_that_is_given_up_stays_as_it_was_entered(jobs):
    task = jobs.queued(tenant="t1")
    before = jobs.job(task)
    jobs.run(commands.enter_given_up(task, task.metadata.job, PROBLEM, runtime="other", now_s=jobs.now_s + 50))
    record = jobs.job(task)
    assert (record.created_s, record.runtime, record.tenant) == (before.created_s, "r", "t1")


def test_every_open_job_is_due_some_day_and_a_told_one_never(jobs):
    accepted, queued, running, ended, told = jobs.task(), jobs.queued(), jobs.queued(), jobs.queued(), jobs.queued()
    jobs.run(commands.accept(accepted, jobs.now_s, start_by_s=START_BY_S))
    for task in (running, ended, told):
        jobs.claimed(task)
    for task in (ended, told):
        jobs.run(commands.complete(task.metadata.job, "token", JobState.SUCCEEDED, now_s=jobs.now_s, attempts=1))
    jobs.run(commands.notified(told.metadata.job, jobs.now_s))
    assert jobs.due_jobs(PUBLISH_DUE_S - 1) == set()
    assert jobs.due_jobs(PUBLISH_DUE_S) == {accepted.metadata.job}
    assert jobs.due_jobs(NOTICE_DUE_S) == {accepted.metadata.job, ended.metadata.job}
    assert jobs.due_jobs(10_000) == {task.metadata.job for task in (accepted, queued, running, ended)}
    assert jobs.job(told).notified
    assert not jobs.job(ended).notified


def test_only_a_failed_job_is_begun_anew_and_with_nothing_of_its_former_end(jobs):
    task = jobs.queued()
    job = task.metadata.job
    redrive = commands.redrive(job, now_s=jobs.now_s, start_s=60)
    assert not jobs.run(redrive).done
    jobs.claimed(task)
    jobs.run(commands.complete(job, "token", JobState.FAILED, now_s=jobs.now_s, attempts=5, error=PROBLEM))
    jobs.run(commands.notified(job, jobs.now_s))
    assert jobs.run(redrive).done
    assert not jobs.run(redrive).done
    record = jobs.claimed(task, "again")
    assert (record.redrives, record.attempts, record.notified, record.error) == (1, 0, False, None)
