"""The jobs table's rules, asked of DynamoDB's own expressions."""

import json

import pytest

from contract.notice import JobError
from jobs.record import JobRecord, JobState
from jobs.requests import CLOCK_MARGIN_S, NOTICE_DUE_S, PUBLISH_DUE_S

LEASE_S = 85
REFUSED = "ConditionalCheckFailedException"
START_BY_S = 2e9
PROBLEM = JobError(code="execution_failed", message="no such node")


def test_an_item_holds_no_prompt(jobs):
    task = jobs.queued()
    assert jobs.claimed(task)
    item = jobs.dynamodb.get_item(**jobs.get(task.metadata.job))["Item"]
    assert "secret" not in json.dumps(item)


def test_a_job_is_accepted_once(jobs):
    task = jobs.task()
    assert jobs.send("put_item", jobs.accept(task, jobs.now_s, start_by_s=START_BY_S)) != REFUSED
    assert jobs.send("put_item", jobs.accept(task, jobs.now_s, start_by_s=START_BY_S)) == REFUSED


def test_a_foreign_message_is_entered_by_its_claim(jobs):
    task = jobs.task(context={"a": [1, 2.5, None]}, prefix="x/y")
    record = jobs.claimed(task, runtime="mine")
    assert (record.state, record.runtime, record.claims, record.attempts) == (JobState.RUNNING, "mine", 1, 0)
    assert (record.context, record.prefix, record.task_id) == ({"a": [1, 2.5, None]}, "x/y", "a")


def test_a_claim_keeps_what_the_door_has_written(jobs):
    task = jobs.queued(tenant="t1")
    before = jobs.record(task)
    assert jobs.claimed(task, after_s=50, runtime="other").created_s == before.created_s
    assert jobs.record(task).runtime == "r"


@pytest.mark.parametrize(("after_s", "taken"), [(0, False), (LEASE_S, False), (LEASE_S + CLOCK_MARGIN_S + 1, True)])
def test_a_job_is_taken_from_an_agent_only_when_its_lease_has_ended_for_longer_than_clocks_differ(jobs, after_s, taken):
    task = jobs.queued()
    assert jobs.claimed(task, "first")
    assert bool(jobs.claimed(task, "second", after_s=after_s)) is taken


def test_a_refused_claim_answers_with_the_job_as_it_is(jobs):
    task = jobs.queued()
    jobs.claimed(task, "first")
    request = jobs.claim(
        task, task.metadata.job, runtime="r", owner="o", token="b", now_s=jobs.now_s, lease_s=LEASE_S, start_s=9
    )
    with pytest.raises(jobs.dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        jobs.dynamodb.update_item(**request)
    record = JobRecord.from_item(caught.value.response["Item"])
    assert record.lease_left_s(jobs.now_s) == pytest.approx(LEASE_S, abs=0.01)


def test_only_the_holder_renews_hands_back_and_finishes(jobs):
    task = jobs.queued()
    job = task.metadata.job
    jobs.claimed(task, "first")
    jobs.claimed(task, "second", after_s=LEASE_S + CLOCK_MARGIN_S + 1)
    late = [
        jobs.renew(job, "first", until_s=jobs.now_s, start_by_s=START_BY_S, attempts=1, progress=None),
        jobs.hand_back(job, "first", attempts=1, hand_backs=0, start_by_s=jobs.now_s),
        jobs.finish(job, "first", JobState.SUCCEEDED, now_s=jobs.now_s, attempts=1),
    ]
    assert [jobs.update(request) for request in late] == [REFUSED] * 3
    assert jobs.record(task).lease_until_s > jobs.now_s + LEASE_S


def test_a_renewal_counts_the_attempt_and_shows_that_the_job_is_to_be_cancelled(jobs):
    task = jobs.queued()
    job = task.metadata.job
    jobs.claimed(task)
    jobs.update(jobs.request_cancel(job, jobs.now_s))
    answer = jobs.update(
        jobs.renew(job, "token", until_s=jobs.now_s + 200, start_by_s=START_BY_S, attempts=1, progress=0.25)
    )
    record = JobRecord.from_item(answer["Attributes"])
    assert (record.cancel_requested, record.attempts, record.lease_until_s) == (
        True,
        1,
        pytest.approx(jobs.now_s + 200, abs=0.01),
    )


def test_a_job_that_nobody_runs_cannot_be_asked_to_stop(jobs):
    task = jobs.queued()
    assert jobs.update(jobs.request_cancel(task.metadata.job, jobs.now_s)) == REFUSED


def test_a_job_handed_back_is_claimed_at_once_and_its_hand_backs_are_counted_apart(jobs):
    task = jobs.queued()
    for _ in range(2):
        jobs.claimed(task)
        jobs.update(jobs.hand_back(task.metadata.job, "token", attempts=0, hand_backs=1, start_by_s=jobs.now_s + 60))
    record = jobs.claimed(task, "next")
    assert (record.hand_backs, record.attempts, record.claims) == (2, 0, 3)


def test_a_finished_job_tells_by_its_notice_where_its_pictures_are(jobs):
    task = jobs.queued(context=[1], prefix="p")
    jobs.claimed(task)
    finish = jobs.finish(
        task.metadata.job, "token", JobState.SUCCEEDED, now_s=jobs.now_s, attempts=1, pictures=("png", "mp4")
    )
    jobs.update(finish)
    notice = jobs.record(task).notice("bucket")
    assert [url.rpartition(".")[2] for url in notice.image_url] == ["png", "mp4"]
    assert notice.image_url[1].startswith("s3://bucket/p/a/a-")
    assert (notice.result, notice.context, notice.status) == (True, [1], "succeeded")
    assert notice.output_url.endswith(".out")


def test_an_ended_job_is_neither_claimed_nor_ended_again(jobs):
    task = jobs.queued()
    job = task.metadata.job
    jobs.claimed(task)
    jobs.update(jobs.finish(job, "token", JobState.FAILED, now_s=jobs.now_s, attempts=1, error=PROBLEM))
    assert not jobs.claimed(task, "next", after_s=10_000)
    assert jobs.update(jobs.give_up(job, JobState.CANCELLED, PROBLEM, now_s=jobs.now_s + 10_000)) == REFUSED
    assert jobs.record(task).error == PROBLEM


def test_a_job_that_is_given_up_stays_as_it_was_entered(jobs):
    task = jobs.queued(tenant="t1")
    before = jobs.record(task)
    jobs.update(jobs.enter_given_up(task, task.metadata.job, PROBLEM, runtime="other", now_s=jobs.now_s + 50))
    record = jobs.record(task)
    assert (record.created_s, record.runtime, record.tenant) == (before.created_s, "r", "t1")


def test_a_long_error_is_cut_between_characters(jobs):
    task = jobs.queued()
    jobs.update(
        jobs.give_up(task.metadata.job, JobState.FAILED, JobError(code="c", message="ü" * 3000), now_s=jobs.now_s)
    )
    assert jobs.record(task).error.message == "ü" * 1022 + "…"


def test_every_open_job_is_due_some_day_and_a_told_one_never(jobs):
    accepted, queued, running, ended, told = jobs.task(), jobs.queued(), jobs.queued(), jobs.queued(), jobs.queued()
    jobs.send("put_item", jobs.accept(accepted, jobs.now_s, start_by_s=START_BY_S))
    for task in (running, ended, told):
        jobs.claimed(task)
    for task in (ended, told):
        jobs.update(jobs.finish(task.metadata.job, "token", JobState.SUCCEEDED, now_s=jobs.now_s, attempts=1))
    jobs.update(jobs.notified(told.metadata.job, jobs.now_s))
    assert jobs.due_jobs(PUBLISH_DUE_S - 1) == set()
    assert jobs.due_jobs(PUBLISH_DUE_S) == {accepted.metadata.job}
    assert jobs.due_jobs(NOTICE_DUE_S) == {accepted.metadata.job, ended.metadata.job}
    assert jobs.due_jobs(10_000) == {task.metadata.job for task in (accepted, queued, running, ended)}
    assert jobs.record(told).notified
    assert not jobs.record(ended).notified


def test_only_a_failed_job_is_begun_anew_and_with_nothing_of_its_former_end(jobs):
    task = jobs.queued()
    job = task.metadata.job
    redrive = jobs.redrive(job, now_s=jobs.now_s, start_s=60)
    assert jobs.update(redrive) == REFUSED
    jobs.claimed(task)
    jobs.update(jobs.finish(job, "token", JobState.FAILED, now_s=jobs.now_s, attempts=5, error=PROBLEM))
    jobs.update(jobs.notified(job, jobs.now_s))
    assert jobs.update(redrive) != REFUSED
    assert jobs.update(redrive) == REFUSED
    record = jobs.claimed(task, "anew")
    assert (record.generation, record.attempts, record.notified, record.error) == (1, 0, False, None)


class TestStartDeadline:
    """An absolute one stands in the item from the door on, and in that of a foreign message from its first claim on."""

    def test_a_claim_leaves_the_doors(self, jobs):
        task = jobs.queued()
        before = jobs.record(task).start_by_s
        assert jobs.claimed(task, after_s=50, start_s=1).start_by_s == before

    def test_a_foreign_message_gets_it_by_its_first_claim(self, jobs):
        record = jobs.claimed(jobs.task(), start_s=7200)
        assert record.start_by_s == pytest.approx(record.created_s + 7200, abs=0.01)

    def test_an_agent_moves_it_on_while_it_keeps_the_job(self, jobs):
        task = jobs.queued()
        jobs.claimed(task)
        renewal = {"until_s": jobs.now_s + 200, "start_by_s": START_BY_S, "attempts": 1, "progress": None}
        jobs.update(jobs.renew(task.metadata.job, "token", **renewal))
        assert jobs.record(task).start_by_s == START_BY_S

    def test_a_job_that_is_handed_back_has_a_new_one(self, jobs):
        task = jobs.queued()
        jobs.claimed(task)
        jobs.update(jobs.hand_back(task.metadata.job, "token", attempts=0, hand_backs=1, start_by_s=START_BY_S))
        record = jobs.record(task)
        assert (record.start_by_s, record.due_s) == (START_BY_S, START_BY_S)
