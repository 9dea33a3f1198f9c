"""Whatever fails between API, keeper, courier and AWS, every job ends, and its caller gets its true state."""

import contextlib
import itertools
import random
from functools import partial

import pytest
from botocore.exceptions import BotoCoreError

from jobs.commands import LOST_MESSAGE_S
from jobs.job import JobState
from test.kit.wire import DiedError

TROUBLES = ("die_before", "die_after", "lose_answers", "cut")


class Submit:
    """Each of these is a request to the door; its answer says which jobs it accepted."""

    def __init__(self, platform):
        self.ask = ("POST", "/jobs", platform.body())

    def jobs(self, answer):
        return [answer["job"]]


class Retry(Submit):
    def __init__(self, platform):
        self.first = platform.submit()
        platform.ask("POST", f"/jobs/{self.first}/cancel", {})
        self.ask = ("POST", f"/jobs/{self.first}/retry", {"content": {"steps": 3}})


class CancelWaiting(Submit):
    def __init__(self, platform):
        self.ask = ("POST", f"/jobs/{platform.submit()}/cancel", {})


class CancelRunning(CancelWaiting):
    def __init__(self, platform):
        super().__init__(platform)
        platform.begin()


class Batch(Submit):
    def __init__(self, platform):
        self.ask = ("POST", "/batches", {"jobs": [platform.body()] * 2})

    def jobs(self, answer):
        return [one["job"]["job"] for one in answer["answers"] if one["job"]]


NEW_JOBS = {Submit: 1, Retry: 1, Batch: 2, CancelWaiting: 0, CancelRunning: 0}


@pytest.mark.parametrize(
    ("kind", "keyed", "troubles"),
    [
        (Submit, True, TROUBLES),
        (Submit, False, ("die_before", "cut")),
        (Retry, True, ("die_after", "cut")),
        (Batch, True, ("die_after", "cut")),
    ],
)
def test_jobs_end_once_wherever_a_door_that_submits_them_fails(platform, monkeypatch, kind, keyed, troubles):
    """The caller of a request that is repeated with its key has exactly the jobs that it wanted."""
    # Of two transactions at the same moment, moto may do a half of each; and a door that has died does nothing more.
    monkeypatch.setattr("api.faces.v1.batches._AT_ONCE", 1)
    disturb(platform, kind, troubles, keyed=keyed)


@pytest.mark.parametrize("kind", [CancelWaiting, CancelRunning])
def test_jobs_end_once_wherever_a_door_that_cancels_them_fails(platform, kind):
    ended = disturb(platform, kind, ("die_after", "cut"), keyed=True)
    assert set(ended.values()) == {JobState.CANCELLED}


def test_the_jobs_of_a_batch_are_answered_though_the_batch_itself_cannot_be_stored(platform):
    wire, batch = platform.door_wired.wire, {"jobs": [platform.body()]}
    platform.ask("POST", "/batches", batch)
    last = len(wire.calls)
    wire.clear()
    wire.cut(last)
    status, answer = platform.ask("POST", "/batches", batch)
    assert (status, answer["batch"], answer["answers"][0]["job"]["state"]) == (202, None, "queued")


def disturb(platform, kind, troubles, *, keyed):
    """Send requests, each with another trouble at another call of the door's; return how all jobs ended."""
    wire, accepted, requests = platform.door_wired.wire, [], 0
    for trouble in troubles:
        for number in itertools.count(1):
            wire.clear()
            request = kind(platform)
            key = f"{trouble}-{number}" if keyed else None
            wire.clear()
            getattr(wire, trouble)(number)
            try:
                status, answer = platform.ask(*request.ask, key=key)
            except DiedError:
                status, answer = 0, ""
            reached = len(wire.calls) >= number
            wire.clear()
            if keyed and (status != 202 or len(request.jobs(answer)) < NEW_JOBS[kind]):
                status, answer = platform.ask(*request.ask, key=key)
                assert status == 202
                for job in request.jobs(answer):
                    assert platform.ask("GET", f"/jobs/{job}/request")[0] == 200
            accepted += request.jobs(answer) if status == 202 else []
            requests += 1
            if not reached:
                break
    platform.finish()
    ended = platform.check(*accepted)
    if keyed and NEW_JOBS[kind]:
        of_requests = {job for job in ended if kind is not Retry or platform.store.get(job).retry_of}
        assert of_requests == set(accepted)
        assert len(of_requests) == NEW_JOBS[kind] * requests
    return ended


def lets_fail(wire, trouble, number, work):
    """Let a part do its work while a call fails; whether it came so far. What it raises ends its process."""
    wire.clear()
    getattr(wire, trouble)(number)
    with contextlib.suppress(DiedError, BotoCoreError):
        work()
    reached = len(wire.calls) >= number
    wire.clear()
    return reached


@pytest.mark.parametrize("status", [200, 500], ids=["accepts", "accepts but says it did not"])
def test_a_webhook_reaches_its_receiver_under_one_id_wherever_the_courier_fails(platform, status):
    jobs = []
    for trouble in ("die_after", "cut") if status == 500 else ("die_before", "lose_answers"):
        reached, number = True, 0
        while reached:
            number += 1
            jobs.append(platform.submit())
            platform.begin()
            platform.draw()
            answers = iter([status])
            platform.answer = partial(next, answers, 200)
            reached = lets_fail(platform.courier_wired.wire, trouble, number, platform.deliver)
            platform.start_courier()
            platform.deliver()
    platform.finish()
    assert set(platform.check(*jobs).values()) == {JobState.SUCCEEDED}


def test_a_lost_message_and_a_lost_notice_are_made_good_wherever_the_keeper_fails(platform):
    lost = []
    for trouble in ("die_after", "cut"):
        reached, number = True, 0
        while reached:
            number += 1
            lost.append(platform.submit())
            platform.aws.take(platform.queue)
            untold = platform.submit()
            platform.aws.take(platform.queue)
            platform.door_wired.wire.cut("Publish")
            assert platform.ask("POST", f"/jobs/{untold}/cancel", {})[0] == 202
            platform.door_wired.wire.clear()
            platform.now_s += LOST_MESSAGE_S + 1
            reached = lets_fail(platform.keeper_wired.wire, trouble, number, platform.reaper.run)
            platform.start_keeper()
            platform.pass_time(LOST_MESSAGE_S + 1)
    platform.finish()
    ended = platform.check(*lost)
    assert {ended[job] for job in lost} == {JobState.SUCCEEDED}


TABLE = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems", "BatchGetItem")


def test_jobs_end_once_while_the_table_is_throttled_under_load(platform):
    """Callers repeat what is answered 503, with its key."""
    source, jobs = random.Random(1), []
    for wired in (platform.door_wired, platform.keeper_wired, platform.courier_wired):
        wired.wire.throttle(TABLE, source)
    for number in range(15):
        for _ in range(100):
            status, answer = platform.ask("POST", "/jobs", platform.body(), key=str(number))
            if status != 503:
                break
        assert status == 202, answer
        jobs.append(answer["job"])
        if number % 3 == 0:
            platform.ask("POST", f"/jobs/{jobs[-1]}/cancel", {})
        if number % 5 == 0:
            platform.begin()
            platform.draw()
            platform.now_s += 61
    platform.finish()
    ended = platform.check(*jobs)
    assert len(ended) == len(set(jobs)) == 15


def test_changes_that_come_twice_and_out_of_order_are_told_at_least_once_under_one_id(platform):
    webhook = {**platform.webhook, "events": ["started", "progress", "output", "completed"]}
    source, jobs = random.Random(1), [platform.submit(webhook=webhook) for _ in range(4)]

    def disturbed(records):
        records = records * 2
        source.shuffle(records)
        return records

    platform.begin()
    platform.draw()
    platform.read_changes(disturbed)
    platform.deliver()
    platform.finish()
    platform.check(*jobs)
    for job in jobs:
        told = [(webhook, body["type"]) for webhook, body in platform.told if body["data"]["job"] == job]
        assert {kind for _, kind in told} >= {"job.started", "job.output", "job.completed"}
        assert len({webhook for webhook, _ in told}) == len({kind for _, kind in told})
