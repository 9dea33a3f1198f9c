"""The pipeline where jobs are in a table."""

import asyncio
import dataclasses
import json
import time

import pytest
from agentkit import JOB, NAMES, Agent, Table, picture

from contract.notice import JobError
from jobs.record import JobRecord, JobState
from queue_agent.endings import MAX_ATTEMPTS
from queue_agent.errors import (
    ContentMissing,
    ExecutionFailed,
    LeaseLost,
    PlatformError,
    ServerAway,
    ServerError,
    Throttled,
)
from queue_agent.ports import AlreadyFinished, ClaimDenied


def ended(**changes):
    values = {field.name: None for field in dataclasses.fields(JobRecord)}
    values |= {"job": JOB, "task_id": "a", "runtime": "r", "prefix": "output", "pictures": ("png",), "context": 7}
    return AlreadyFinished(JobRecord(**{**values, "state": JobState.SUCCEEDED, "has_manifest": True, **changes}))


async def test_a_short_job_is_written_three_times_and_told_after_its_end_is_written(message):
    agent = Agent(picture(), jobs=Table())
    publish = agent.notices.publish

    async def publish_and_note(notice):
        agent.jobs.writes.append("notice")
        await publish(notice)

    agent.notices.publish = publish_and_note
    await agent.handle(message)
    assert agent.jobs.writes == [("claim",), ("finish", "succeeded", 1), "notice", ("notified",)]
    assert agent.queue.log == ["delete"]


async def test_a_short_job_is_written_three_times_however_long_its_pictures_take(message, monkeypatch):
    monkeypatch.setattr("queue_agent.lease._BEGUN_BEAT_S", 0.05)
    agent = Agent(picture(), jobs=Table())
    put = agent.store.put

    async def put_slowly(*picture, **keywords):
        await asyncio.sleep(0.1)
        await put(*picture, **keywords)

    agent.store.put = put_slowly
    await agent.handle(message)
    assert agent.jobs.writes == [("claim",), ("finish", "succeeded", 1), ("notified",)]


async def test_a_job_held_elsewhere_is_left_alone_until_its_lease_has_ended(message):
    agent = Agent(jobs=Table(answer=ClaimDenied(42)))
    await agent.handle(message)
    ((call, delay_s),) = agent.queue.log
    assert call == "release"
    assert 42 < delay_s <= 48
    assert (agent.server.runs, agent.notices.sent) == ([], [])


@pytest.mark.parametrize("notified", [True, False])
async def test_the_notice_of_a_job_found_ended_is_repeated_only_if_it_was_not_marked_sent(message, notified):
    agent = Agent(jobs=Table(answer=ended(notified=notified)))
    await agent.handle(message)
    assert agent.queue.log == ["delete"]
    assert agent.server.runs == []
    assert [notice.context for notice in agent.notices.sent] == ([] if notified else [7])
    assert (("notified",) in agent.jobs.writes) is not notified


@pytest.mark.parametrize(
    ("fault", "written"),
    [
        (ServerError("nonsense"), ("hand back", 3, "counted")),
        (ServerAway("refused"), ("hand back", 2, "blameless")),
    ],
)
async def test_an_attempt_counts_only_if_the_model_server_got_the_job(message, fault, written):
    agent = Agent(jobs=Table(number=9, attempt=3))

    async def run(prepared, job, claim, signals):
        raise fault

    agent.server.run = run
    await agent.handle(message)
    assert agent.jobs.writes == [("claim",), written]


BROKEN = [
    (KeyError("class_type"), "internal_error"),
    (ServerError("The model server answers 500 to object_info/..."), "model_server_failed"),
    (ContentMissing(), "platform_failed"),
]


@pytest.mark.parametrize(("fault", "code"), BROKEN)
async def test_a_preparation_that_fails_counts_as_an_attempt_and_is_not_tried_for_ever(message, fault, code):
    async def prepare(task, inputs):
        raise fault

    for attempt in range(1, MAX_ATTEMPTS):
        agent = Agent(jobs=Table(number=attempt, attempt=attempt))
        agent.server.prepare = prepare
        await agent.handle(message)
        assert agent.jobs.writes == [("claim",), ("hand back", attempt, "counted")]
    agent = Agent(jobs=Table(number=MAX_ATTEMPTS, attempt=MAX_ATTEMPTS))
    agent.server.prepare = prepare
    await agent.handle(message)
    assert agent.queue.log == [("bury", code)]
    assert agent.notices.sent[0].error.code == code


async def test_what_the_platform_fails_in_before_the_model_server_has_the_job_uses_no_attempt_up(message):
    agent = Agent(jobs=Table(number=50, attempt=MAX_ATTEMPTS))

    async def prepare(task, inputs):
        raise PlatformError("s3:GetObject failed")

    agent.server.prepare = prepare
    await agent.handle(dataclasses.replace(message, receive_count=50))
    assert agent.queue.log == [("release", 60)]
    assert agent.jobs.writes[-1] == ("hand back", MAX_ATTEMPTS - 1, "blameless")


async def test_a_throttled_job_costs_no_attempt_even_once_begun(message):
    agent = Agent(Throttled(), jobs=Table(number=9, attempt=MAX_ATTEMPTS))
    await agent.handle(message)
    assert agent.server.runs
    assert agent.jobs.writes[-1] == ("hand back", MAX_ATTEMPTS - 1, "blameless")


async def test_the_last_attempt_ends_as_a_failed_job_and_in_the_dead_queue(message):
    agent = Agent(ServerError("nonsense"), jobs=Table(number=5, attempt=MAX_ATTEMPTS))
    await agent.handle(message)
    assert agent.jobs.writes == [("claim",), ("finish", "failed", MAX_ATTEMPTS), ("notified",)]
    assert agent.queue.log == [("bury", "model_server_failed")]


async def test_a_job_whose_agents_vanished_at_each_attempt_is_given_up_without_another_try(message):
    agent = Agent(picture(), jobs=Table(number=6, attempt=MAX_ATTEMPTS + 1))
    await agent.handle(message)
    assert agent.server.runs == []
    assert agent.notices.sent[0].error.code == "attempts_exhausted"
    assert agent.queue.log == [("bury", "attempts_exhausted")]


async def test_a_job_whose_cancellation_was_asked_for_is_ended_without_being_run(message):
    agent = Agent(picture(), jobs=Table(number=2, cancel_requested=True))
    await agent.handle(message)
    assert agent.server.runs == []
    assert [(notice.status, notice.result) for notice in agent.notices.sent] == [("cancelled", False)]
    assert agent.jobs.writes == [("claim",), ("finish", "cancelled", 0), ("notified",)]


async def test_a_running_job_is_interrupted_when_a_heartbeat_shows_that_it_is_to_be_cancelled(message):
    agent = Agent(30, jobs=Table())
    agent.queue.visibility_s, agent.jobs.cancel = 0.3, True
    await asyncio.wait_for(agent.handle(message), 2)
    assert agent.server.interrupted == [JOB]
    assert json.loads(agent.store.objects["bucket", NAMES.answer_key])["status"] == "cancelled"
    assert [(notice.status, notice.error.code) for notice in agent.notices.sent] == [("cancelled", "cancelled")]


@pytest.mark.parametrize("fault", [LeaseLost(), PlatformError("dynamodb:UpdateItem failed")])
async def test_a_job_whose_lease_cannot_be_kept_is_interrupted_and_nothing_more_is_heard_of_it(message, fault):
    agent = Agent(30, jobs=Table())
    agent.queue.visibility_s, agent.jobs.broken = 0.3, {"renew": fault}
    await asyncio.wait_for(agent.handle(message), 2)
    assert agent.server.interrupted == [JOB]
    assert (agent.store.objects, agent.notices.sent, agent.queue.log) == ({}, [], [])


async def test_a_job_that_another_agent_has_ended_meanwhile_is_not_told_a_second_time(message):
    agent = Agent(picture(), jobs=Table())
    agent.jobs.broken = {"finish": LeaseLost()}
    await agent.handle(message)
    assert (agent.notices.sent, agent.queue.log) == ([], [])


async def test_a_job_is_stored_no_more_after_its_lease_has_ended(message):
    agent = Agent(0.05, jobs=Table())
    agent.queue.visibility_s = 0.06  # a heartbeat that hangs

    async def hang(*_, **__):
        await asyncio.sleep(1)

    agent.jobs.renew = hang
    await agent.handle(message)
    assert (agent.store.objects, agent.notices.sent) == ({}, [])


async def test_a_table_that_cannot_be_reached_costs_no_attempt_and_the_message_comes_again(message):
    agent = Agent(picture(), jobs=Table())
    agent.jobs.broken = {"claim": PlatformError("dynamodb:UpdateItem failed")}
    await agent.handle(dataclasses.replace(message, receive_count=3))
    assert (agent.server.runs, agent.queue.log) == ([], [("release", 20)])


async def test_a_stopped_agents_running_job_counts_as_handed_back_and_not_as_an_attempt(message):
    agent = Agent(30, jobs=Table())
    handling = asyncio.create_task(agent.handle(message))
    await asyncio.sleep(0.05)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert agent.jobs.writes == [("claim",), ("hand back", 0, "blameless")]
    assert agent.queue.log == [("release", 0)]


async def test_a_job_that_ran_when_its_model_server_was_lost_has_used_an_attempt(message):
    agent = Agent(30, jobs=Table())
    handling = asyncio.create_task(agent.handle(message))
    await asyncio.sleep(0.05)
    agent.watch.lost.set()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert agent.jobs.writes == [("claim",), ("hand back", 1, "counted")]


async def test_a_message_is_given_back_although_the_table_cannot_be_told(message):
    agent = Agent(ServerError("nonsense"), jobs=Table())
    agent.jobs.broken = {"hand back": PlatformError("dynamodb:UpdateItem failed")}
    await agent.handle(message)
    assert agent.queue.log == [("release", 5)]


async def test_what_a_former_generation_stored_does_not_count_as_done(message):
    agent = Agent(ExecutionFailed("boom"), picture(), jobs=Table())
    await agent.handle(message)
    agent.jobs.claimed = dataclasses.replace(agent.jobs.claimed, number=2, generation=1)
    await agent.handle(message)
    assert [notice.status for notice in agent.notices.sent] == ["failed", "succeeded"]
    agent.jobs.claimed = dataclasses.replace(agent.jobs.claimed, number=3)
    await agent.handle(message)
    assert len(agent.server.runs) == 2


def delivered_late(message):
    """The message as SQS says it was first delivered, a second after its job was accepted."""
    return dataclasses.replace(message, first_received_ms=int((time.time() + 1) * 1000))


async def test_a_task_that_waited_longer_than_it_may_fails_without_being_run(message):
    agent = Agent(picture(), jobs=Table(start_s=0.01))
    await agent.handle(delivered_late(message))
    assert agent.server.runs == []
    assert agent.notices.sent[0].error.code == "start_deadline_exceeded"


async def test_a_task_that_was_begun_in_time_may_be_tried_again_later(message):
    agent = Agent(picture(), jobs=Table(number=2, start_s=0.01))
    await agent.handle(delivered_late(message))
    assert [notice.status for notice in agent.notices.sent] == ["succeeded"]


async def test_a_job_begun_anew_long_after_it_was_accepted_is_run(message):
    agent = Agent(picture(), jobs=Table(generation=1, start_s=0.01))
    await agent.handle(delivered_late(message))
    assert [notice.status for notice in agent.notices.sent] == ["succeeded"]


async def test_the_clock_here_does_not_say_how_long_a_task_has_waited(message, monkeypatch):
    agent = Agent(picture(), jobs=Table(start_s=60))
    ahead_s = time.time() + 7200
    monkeypatch.setattr("queue_agent.pipeline.time.time", lambda: ahead_s)
    await agent.handle(message)
    assert [notice.status for notice in agent.notices.sent] == ["succeeded"]


@pytest.mark.parametrize(
    ("code", "end"), [("model_server_failed", ("bury", "model_server_failed")), ("execution_failed", "delete")]
)
async def test_the_message_of_a_job_found_given_up_is_kept_and_that_of_a_failed_task_is_not(message, code, end):
    error = JobError(code=code, message="words")
    agent = Agent(jobs=Table(answer=ended(state=JobState.FAILED, notified=True, error=error)))
    await agent.handle(message)
    assert agent.queue.log == [end]


async def test_a_job_that_was_given_up_is_told_as_failed_although_its_agent_had_stored_it_too_late(message):
    agent = Agent(picture(), jobs=Table())
    agent.jobs.broken = {"finish": LeaseLost()}
    await agent.handle(message)
    error = JobError(code="lost", message="words")
    agent.jobs.answer = ended(state=JobState.FAILED, has_manifest=False, generation=0, error=error, pictures=())
    await agent.handle(message)
    assert [(notice.status, notice.error.code) for notice in agent.notices.sent] == [("failed", "lost")]
