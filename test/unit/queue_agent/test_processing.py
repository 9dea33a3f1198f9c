"""A message's way: receive, parse, claim, prepare, run, store, complete, notify, ack."""

import asyncio
import dataclasses
import time
from unittest.mock import AsyncMock

import pytest
from agentkit import JOB, NAMES, PNG, Agent, FakeTable, picture, until

from contract.notice import JobError
from contract.queues import TASKS
from jobs.job import AlreadyFinished, ClaimDenied, Job, JobState, StoredOutput
from queue_agent.errors import (
    AgentError,
    ContentMissing,
    ExecutionFailed,
    InputError,
    LeaseLost,
    PlatformError,
    ServerAway,
    ServerError,
    StillRunning,
    Throttled,
)
from queue_agent.processing import MAX_ATTEMPTS

METADATA = {"id": "a", "runtime": "r", "tasktype": "text-to-image", "job": JOB}


def ended(**changes):
    values = dict.fromkeys(Job.model_fields)
    values |= {"id": JOB, "task_id": "a", "runtime": "r", "prefix": "output", "pictures": ("png",), "context": 7}
    return AlreadyFinished(
        Job.model_construct(**{**values, "state": JobState.SUCCEEDED, "has_manifest": True, "outputs": (), **changes})
    )


async def test_a_task_ends_as_pictures_manifest_table_notice_and_deleted_message_in_that_order(message):
    agent = Agent(picture(PNG, b"GIF89a" + bytes(20)))
    publish, before = agent.publish, []

    async def publish_and_note(notice):
        before.extend([*agent.jobs.writes, *agent.queue.log])
        await publish(notice)

    agent.publish = publish_and_note
    await agent.process(message)
    keys = [NAMES.picture_key(1, "png"), NAMES.picture_key(2, "gif"), NAMES.answer_key]
    assert agent.store.writes == list(zip(keys, ["image/png", "image/gif", "application/json"], strict=True))
    assert before == [("claim",), ("complete", "succeeded", 1)]
    (notice,) = agent.notices
    assert (notice.id, notice.result, notice.context, notice.job) == ("a", True, {"abc": 123}, JOB)
    assert notice.image_url == [f"s3://bucket/{key}" for key in keys[:2]]
    assert notice.output_url == f"s3://bucket/{NAMES.answer_key}"
    assert (agent.jobs.writes[-1], agent.queue.log) == (("notified",), ["delete"])
    stored = {"size_bytes": len(PNG), "width": 1, "height": 1, "seed": 7}
    gif = {"content_type": "image/gif", "size_bytes": 26, "seed": 7}
    assert agent.jobs.outputs == (StoredOutput(content_type="image/png", **stored), StoredOutput(**gif))


async def test_the_manifest_holds_parameters_seeds_timings_and_no_pictures(message):
    mask = "A" * 5000
    agent = Agent(picture(parameters={"mask": mask, "init": f"data:image/png;base64,{mask}", "prompt": "a " * 3000}))
    await agent.process(message)
    manifest = agent.manifest
    expected = {"id": "a", "job": JOB, "generation": 0, "runtime": "r", "status": "succeeded", "model": "m"}
    assert expected.items() <= manifest.items()
    assert manifest["pictures"][0]["seed"] == 7
    assert set(manifest["timings_s"]) == {"claim", "prepare", "wait", "run", "store"}
    shortened = {"mask": "<5000 characters of base64>", "init": "<5022 characters of base64>", "prompt": "a " * 3000}
    assert manifest["parameters"] == shortened


@pytest.mark.parametrize(
    ("outcome", "over"), [(picture(), True), (ExecutionFailed("no"), True), (ServerError("gone"), False)]
)
async def test_what_a_job_left_on_the_server_is_discarded_once_and_kept_if_it_will_run_again(message, outcome, over):
    agent = Agent(outcome)
    await agent.process(message)
    assert agent.server.discarded == [({"prompt": "x"}, over)]


# Attempts


COUNTED, BLAMELESS = ("release", 1, "counted"), ("release", 0, "blameless")


@pytest.mark.parametrize(
    ("stage", "error", "written"),
    [
        ("prepare", KeyError("class_type"), COUNTED),
        ("prepare", ServerError("The model server answers 500 to object_info/..."), COUNTED),
        ("prepare", ContentMissing(), COUNTED),
        ("prepare", PlatformError("s3:GetObject failed"), BLAMELESS),
        ("prepare", None, COUNTED),
        ("submit", ServerError("nonsense"), COUNTED),
        ("submit", ServerAway("refused"), BLAMELESS),
        ("run", PlatformError("s3"), COUNTED),
        ("run", RuntimeError("a bug"), COUNTED),
        ("store", None, COUNTED),
    ],
)
async def test_what_is_not_the_tasks_fault_releases_it_and_counts_where_it_could_happen_for_ever(
    message, monkeypatch, stage, error, written
):
    """A stage without an error never ends."""

    async def fail(*_, **__):
        if error is not None:
            raise error
        await asyncio.Event().wait()

    if error is None:
        monkeypatch.setattr(f"queue_agent.processing._{stage.upper()}_S", 0.01)
    agent = Agent(error or picture())
    if stage != "run":
        owner = agent.store if stage == "store" else agent.server
        setattr(owner, {"prepare": "prepare", "submit": "run", "store": "put"}[stage], fail)
    await agent.process(message)
    assert agent.jobs.writes == [("claim",), written]
    assert agent.jobs.reasons[0]
    assert error is None or str(error) in agent.jobs.reasons[0] or not isinstance(error, AgentError)
    assert agent.queue.log == [("release", 5)]
    assert (agent.notices, agent.store.objects) == ([], {})


async def test_a_job_that_never_counts_an_attempt_is_released_for_a_minute_again_and_again(message):
    agent = Agent(PlatformError("away"), jobs=FakeTable(number=50, attempt=MAX_ATTEMPTS))
    agent.server.prepare = AsyncMock(side_effect=PlatformError("away"))
    await agent.process(dataclasses.replace(message, deliveries=50))
    assert agent.queue.log == [("release", 60)]
    assert agent.jobs.writes[-1] == ("release", MAX_ATTEMPTS - 1, "blameless")


async def test_a_job_that_a_service_goes_on_with_is_released_for_as_long_as_its_driver_says_at_no_attempt(message):
    agent = Agent(StillRunning(75), jobs=FakeTable(number=50, attempt=MAX_ATTEMPTS))
    await agent.process(dataclasses.replace(message, deliveries=50))
    assert agent.queue.log == [("release", 75)]
    assert agent.jobs.writes[-1] == ("release", MAX_ATTEMPTS - 1, "blameless")
    assert agent.server.interrupted == []


@pytest.fixture
def throttled_delay(message, monkeypatch):
    """Gives the delay of a job that is throttled at a delivery, which must cost it no attempt."""
    monkeypatch.setattr("queue_agent.processing._MAX_PAUSE_S", 0)

    async def delay_of(deliveries):
        agent = Agent(Throttled(), jobs=FakeTable(number=deliveries, attempt=MAX_ATTEMPTS))
        await agent.process(dataclasses.replace(message, deliveries=deliveries))
        assert agent.jobs.writes == [("claim",), ("release", MAX_ATTEMPTS - 1, "blameless")]
        ((_, delay_s),) = agent.queue.log
        return delay_s

    return delay_of


@pytest.mark.parametrize(("deliveries", "longest_s"), [(1, 5), (3, 20), (19, 60), (30, 660), (99, 1800)])
async def test_throttled_jobs_come_back_at_different_times_and_the_later_the_more_often_they_were(
    throttled_delay, deliveries, longest_s
):
    delays = [await throttled_delay(deliveries) for _ in range(40)]
    assert len(set(delays)) > 1
    assert longest_s // 2 <= min(delays) <= max(delays) <= longest_s


async def test_a_day_of_throttling_does_not_use_up_the_deliveries_of_a_job(throttled_delay, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, _: low)
    shortest_s = [await throttled_delay(number) for number in range(1, TASKS.max_receives)]
    assert sum(shortest_s) > 16 * 3600


async def test_a_throttled_job_keeps_its_slot_for_a_while_so_that_no_other_is_throttled_in_its_place(
    message, monkeypatch
):
    monkeypatch.setattr("queue_agent.processing._MAX_PAUSE_S", 0.2)
    agent = Agent(Throttled())
    processing = asyncio.create_task(agent.process(message))
    await until(lambda: agent.queue.log)
    released_s = time.monotonic()
    await processing
    assert time.monotonic() - released_s > 0.1


async def test_a_stopped_agent_does_not_release_a_throttled_job_twice(message):
    agent = Agent(Throttled())
    processing = asyncio.create_task(agent.process(message))
    await until(lambda: agent.queue.log)
    processing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await processing
    assert len(agent.queue.log) == 1


async def test_each_retry_waits_longer_up_to_a_minute_and_the_last_attempt_fails_the_job(message):
    delays = []
    for attempt in range(1, MAX_ATTEMPTS):
        agent = Agent(ServerError("away"), jobs=FakeTable(number=attempt, attempt=attempt))
        await agent.process(message)
        delays += [delay for _, delay in agent.queue.log]
    assert delays == [5, 10, 20, 40]
    agent = Agent(ServerError("away"), jobs=FakeTable(number=MAX_ATTEMPTS, attempt=MAX_ATTEMPTS))
    await agent.process(message)
    assert agent.jobs.writes == [("claim",), ("complete", "failed", MAX_ATTEMPTS), ("notified",)]
    (notice,) = agent.notices
    assert (notice.result, notice.error.code) == (False, "model_server_failed")
    assert agent.queue.log == [("dead letter", "model_server_failed")]
    assert agent.manifest["status"] == "failed"


async def test_a_job_whose_agents_vanished_in_each_attempt_is_given_up_without_another_one(message):
    agent = Agent(picture(), jobs=FakeTable(number=6, attempt=MAX_ATTEMPTS + 1))
    await agent.process(message)
    assert agent.server.runs == []
    assert agent.notices[0].error.code == "attempts_exhausted"
    assert agent.queue.log == [("dead letter", "attempts_exhausted")]


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_stopped_agents_running_job_is_released_without_an_attempt_unless_its_server_was_lost_under_it(
    message, is_lost
):
    agent = Agent(300)
    processing = asyncio.create_task(agent.process(message))
    await agent.server.started.wait()
    if is_lost:
        agent.monitor.lost.set()
    processing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await processing
    assert agent.server.interrupted == [JOB]
    assert agent.jobs.writes == [("claim",), COUNTED if is_lost else BLAMELESS]
    assert agent.jobs.reasons == ["The model server does not answer or hangs." if is_lost else None]
    assert (agent.queue.log, agent.notices) == ([("release", 0)], [])


# Deliveries of one job


async def test_a_job_whose_notice_fails_again_and_again_has_its_success_notified_later_and_runs_once(message):
    agent = Agent(picture())
    publish, agent.publish = agent.publish, AsyncMock(side_effect=PlatformError("sns:Publish failed: Throttling"))
    for _ in range(MAX_ATTEMPTS):
        await agent.process(message)
        agent.jobs.next_delivery(attempt=2)
    assert agent.queue.log == [("release", 5)] * MAX_ATTEMPTS
    assert agent.manifest["status"] == "succeeded"
    agent.publish = publish
    await agent.process(message)
    assert [(notice.job, notice.status) for notice in agent.notices] == [(JOB, "succeeded")]
    assert agent.queue.log[-1] == "delete"
    assert len(agent.server.runs) == 1


@pytest.mark.parametrize("data", [b"{}", b"no JSON", InputError("may not be read")])
async def test_an_answer_file_that_is_no_manifest_or_may_not_be_read_does_not_count_as_done(message, data):
    agent = Agent(picture(), jobs=FakeTable(number=2))
    agent.store.get = AsyncMock(side_effect=[data])
    await agent.process(message)
    assert len(agent.server.runs) == 1
    assert agent.queue.log == ["delete"]


async def test_results_of_an_earlier_redrive_do_not_count_as_done(message):
    agent = Agent(ExecutionFailed("boom"), picture())
    await agent.process(message)
    agent.jobs.next_delivery(redrives=1)
    await agent.process(message)
    assert [notice.status for notice in agent.notices] == ["failed", "succeeded"]
    agent.jobs.next_delivery()
    await agent.process(message)
    assert len(agent.server.runs) == 2


async def test_a_job_that_another_agent_has_is_left_alone_until_its_lease_has_ended(message):
    agent = Agent(jobs=FakeTable(answer=ClaimDenied(42)))
    await agent.process(message)
    ((call, delay_s),) = agent.queue.log
    assert call == "release"
    assert 42 < delay_s <= 48
    assert (agent.server.runs, agent.notices) == ([], [])


async def test_an_agent_whose_clock_is_hours_behind_hides_a_leased_job_no_longer_than_a_lease_lasts(message):
    agent = Agent(jobs=FakeTable(answer=ClaimDenied(7200)))
    await agent.process(message)
    ((_, delay_s),) = agent.queue.log
    assert agent.queue.visibility_s < delay_s < agent.queue.visibility_s + 10


@pytest.mark.parametrize("notified", [True, False])
@pytest.mark.parametrize(
    ("code", "ending"),
    [(None, "delete"), ("execution_failed", "delete"), ("model_server_failed", ("dead letter", "model_server_failed"))],
)
async def test_a_job_found_ended_is_notified_if_it_was_not_and_its_message_kept_if_it_was_given_up(
    message, notified, code, ending
):
    failed = {"state": JobState.FAILED, "error": JobError(code=code, message="words")} if code else {}
    agent = Agent(jobs=FakeTable(answer=ended(notified=notified, **failed)))
    await agent.process(message)
    assert agent.queue.log == [ending]
    assert agent.server.runs == []
    assert [notice.context for notice in agent.notices] == ([] if notified else [7])
    assert (("notified",) in agent.jobs.writes) is not notified


async def test_a_job_that_failed_elsewhere_is_notified_as_failed_although_its_results_were_stored_too_late(message):
    agent = Agent(picture())
    agent.jobs.broken = {"complete": LeaseLost()}
    await agent.process(message)
    assert (agent.notices, agent.queue.log) == ([], [])
    error = JobError(code="lost", message="words")
    agent.jobs.answer = ended(state=JobState.FAILED, has_manifest=False, redrives=0, error=error, pictures=())
    await agent.process(message)
    assert [(notice.status, notice.error.code) for notice in agent.notices] == [("failed", "lost")]


# Claim and lease


async def test_a_claim_granted_only_after_its_lease_would_have_ended_is_undone(message):
    agent = Agent(picture())
    claim, agent.queue.visibility_s = agent.jobs.claim, 0.05

    async def slow(*arguments, **keywords):
        await asyncio.sleep(0.1)
        return await claim(*arguments, **keywords)

    agent.jobs.claim = slow
    await agent.process(message)
    assert agent.jobs.writes == [("claim",), ("release", 0, "blameless")]
    assert agent.queue.log == [("release", 5)]


@pytest.mark.parametrize("error", [LeaseLost(), PlatformError("dynamodb:UpdateItem failed"), None])
async def test_a_job_whose_lease_cannot_be_kept_is_interrupted_and_leaves_nothing(message, error):
    async def renew(*_, **__):
        if error is not None:
            raise error
        await asyncio.Event().wait()

    agent = Agent(300)
    agent.queue.visibility_s, agent.jobs.renew = 0.6, renew
    await agent.process(message)
    assert agent.server.interrupted == [JOB]
    assert (agent.store.objects, agent.notices, agent.queue.log) == ({}, [], [])


# Deadlines


@pytest.mark.parametrize(
    ("table", "status"),
    [({}, "failed"), ({"number": 2}, "succeeded"), ({"redrives": 1}, "succeeded")],
    ids=["first claim", "tried again", "redriven"],
)
async def test_a_job_first_delivered_after_its_start_deadline_fails_but_may_be_tried_again_later(
    message, table, status
):
    agent = Agent(picture(), jobs=FakeTable(start_s=0.01, **table))
    await agent.process(dataclasses.replace(message, first_received_ms=int((time.time() + 1) * 1000)))
    assert [notice.status for notice in agent.notices] == [status]
    if status == "failed":
        assert agent.server.runs == []
        assert agent.notices[0].error.code == "start_deadline_exceeded"


# Messages and contents


async def test_content_in_s3_is_read_from_the_apis_own_prefix_alone(make_message):
    agent = Agent(picture())
    agent.store.objects["bucket", f"_tasks/{JOB}.json"] = b'{"prompt": "large"}'
    await agent.process(make_message({"metadata": METADATA, "content_url": f"s3://bucket/_tasks/{JOB}.json"}))
    assert agent.server.runs[0][0] == {"prompt": "large"}
    for url in ("s3://other/_tasks/x.json", "s3://bucket/output/x.json", "https://example.com/x.json", "s3://bucket"):
        agent = Agent(picture())
        await agent.process(make_message({"metadata": METADATA, "content_url": url}))
        assert agent.notices[0].error.code == "invalid_task", url
        assert agent.server.runs == []


@pytest.mark.parametrize(
    ("body", "end", "notices"),
    [
        ({"metadata": {"schema": 2}}, ("release", 90), []),
        ("{", ("dead letter", "unreadable_message"), []),
        (
            {"metadata": {"id": "a", "context": 1}},
            ("dead letter", "unreadable_message"),
            [("a", 1, "unreadable_message")],
        ),
    ],
)
async def test_a_message_for_a_newer_agent_is_released_and_an_unreadable_one_dead_and_notified_by_its_id(
    make_message, body, end, notices
):
    agent = Agent()
    await agent.process(make_message(body))
    assert agent.queue.log == [end]
    assert [(notice.id, notice.context, notice.error.code) for notice in agent.notices] == notices
    assert agent.jobs.writes == []
