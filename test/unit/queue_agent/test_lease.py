"""A lease, with a visibility timeout of its own."""

import asyncio
import time
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
from agentkit import JOB, FakeQueue, FakeTable, until

from contract.deadlines import DEFAULT_DEADLINES
from jobs.job import Progress
from queue_agent.errors import Cancelled, LeaseLost, PlatformError
from queue_agent.job_context import JobContext
from queue_agent.lease import Lease, lease_s


def lease_of(jobs, queue, progress=None):
    rest = dict.fromkeys(("message", "task", "traceparent", "memory", "telemetry"))
    slot = SimpleNamespace(progress=progress if callable(progress) else AsyncMock(return_value=progress))
    job = JobContext(id=JOB, received_s=time.monotonic(), deadlines=DEFAULT_DEADLINES, slot=slot, **rest)
    return Lease(queue=queue, jobs=jobs, job=job, claim=jobs.claimed)


@pytest.fixture
def queue():
    queue = FakeQueue()
    queue.visibility_s = 0.6
    return queue


@pytest.mark.parametrize(("visibility_s", "left_s"), [(90, 85), (12, 10)])
def test_a_lease_ends_before_its_message_is_delivered_again(visibility_s, left_s):
    assert lease_s(visibility_s) == left_s


async def test_claim_and_message_are_renewed_together_and_with_the_jobs_progress_once_it_runs(queue):
    jobs = FakeTable()
    jobs.renew = renew = AsyncMock(return_value=False)
    async with lease_of(jobs, queue, progress=Progress(fraction=0.25)) as lease:
        await until(lambda: renew.await_count == 1)
        lease.attempt_started()
        await until(lambda: renew.await_count > 1)
    renewed = [(call.kwargs["attempts"], call.kwargs["progress"]) for call in renew.await_args_list]
    assert renewed[:2] == [(0, None), (1, Progress(fraction=0.25))]
    assert queue.log[:2] == ["extend"] * 2


@pytest.fixture
def looks(monkeypatch, queue):
    """Looks after a job all the time, and renews its lease never."""
    queue.visibility_s = 900
    for name, seconds in (("_LONG_S", 0.02), ("_LOOK_S", 0.01), ("_EARLY_BEAT_S", 60)):
        monkeypatch.setattr(f"queue_agent.lease.{name}", seconds)


async def held(lease, until_over):
    """Keep a job that runs under a lease until something is over, or the lease interrupts it."""
    async with lease:
        with lease.interruptible():
            lease.attempt_started()
            await until(until_over)
        await lease.complete(SimpleNamespace(status="succeeded"))


async def test_a_long_jobs_progress_is_written_when_it_changes_by_a_percent_and_else_only_the_callers_wish_is_read(
    queue, looks
):
    said = [None, *[Progress(fraction=fraction) for fraction in (0.5, 0.5, 0.501, 0.52)], Progress(stage="decoding")]
    asked = iter(said)
    slot_asked = AsyncMock(side_effect=lambda: next(asked, said[-1]))
    jobs = FakeTable()
    jobs.renew, jobs.cancel_requested = AsyncMock(return_value=False), AsyncMock(return_value=False)
    await held(lease_of(jobs, queue, slot_asked), lambda: slot_asked.await_count > len(said) + 2)
    written = [call.kwargs["progress"] for call in jobs.renew.await_args_list]
    assert written == [Progress(fraction=0.5), Progress(fraction=0.52), Progress(stage="decoding")]
    assert jobs.cancel_requested.await_count >= slot_asked.await_count - len(written)
    assert queue.log == []


async def test_a_new_preview_is_told_with_the_progress_as_it_was(queue, looks):
    jobs, said = FakeTable(), [Progress(step=1, steps=2), None]
    jobs.renew = AsyncMock(return_value=False)
    lease = lease_of(jobs, queue, AsyncMock(side_effect=lambda: said.pop(0) if len(said) > 1 else said[0]))

    def is_told():
        if jobs.renew.await_count == 1:
            lease._job.previewed_s = 7.0
        return jobs.renew.await_count == 2

    await held(lease, is_told)
    written = [call.kwargs["progress"] for call in jobs.renew.await_args_list]
    assert written == [Progress(step=1, steps=2), Progress(step=1, steps=2, previewed_s=7.0)]


async def test_a_write_of_progress_does_not_prolong_the_lease_which_the_message_would_not_follow(queue, looks):
    jobs = FakeTable()
    jobs.renew = AsyncMock(return_value=False)
    await held(lease_of(jobs, queue, Progress(step=1, steps=2)), lambda: jobs.renew.await_count)
    assert jobs.renew.await_args.kwargs["lease_s"] < lease_s(900)


@pytest.mark.parametrize(
    ("told_by", "has_begun"), [("renew", True), ("cancel_requested", True), ("cancel_requested", False)]
)
async def test_a_caller_who_cancels_interrupts_a_job_that_runs_or_waits_long_before_the_next_renewal(
    queue, looks, told_by, has_begun
):
    jobs = FakeTable()
    setattr(jobs, told_by, AsyncMock(return_value=True))
    progress = Progress(fraction=0.5) if told_by == "renew" else None
    async with asyncio.timeout(60), lease_of(jobs, queue, progress) as lease:
        if has_begun:
            lease.attempt_started()
        with pytest.raises(Cancelled), lease.interruptible():
            await asyncio.Event().wait()
    assert queue.log == []


async def test_nobody_asks_for_a_job_that_is_short_or_whose_results_are_being_stored(queue, looks, monkeypatch):
    jobs = FakeTable()
    jobs.cancel_requested = AsyncMock(return_value=True)
    async with lease_of(jobs, queue) as lease:
        lease.attempt_started()
        await asyncio.sleep(0.1)
    monkeypatch.setattr("queue_agent.lease._LONG_S", 60)
    async with lease_of(jobs, queue) as lease:
        lease.attempt_started()
        with lease.interruptible():
            await asyncio.sleep(0.1)
    jobs.cancel_requested.assert_not_awaited()


async def test_a_look_that_fails_is_not_repeated_before_the_next_renewal(queue, looks, caplog):
    jobs = FakeTable()
    jobs.cancel_requested = AsyncMock(side_effect=PlatformError("dynamodb:GetItem failed: AccessDenied"))
    done = asyncio.get_running_loop().time() + 0.2
    await held(lease_of(jobs, queue), lambda: asyncio.get_running_loop().time() > done)
    jobs.cancel_requested.assert_awaited_once()
    assert "AccessDenied" in caplog.text


async def test_a_job_that_another_agent_has_is_dropped_when_its_progress_is_written(queue, looks):
    jobs = FakeTable()
    jobs.broken = {"renew": LeaseLost()}
    async with asyncio.timeout(60):
        with pytest.raises(LeaseLost):
            await held(lease_of(jobs, queue, Progress(fraction=0.5)), lambda: False)


async def test_a_server_that_does_not_say_how_far_a_job_is_keeps_nobody_from_its_end(queue, looks, monkeypatch):
    async def never():
        await asyncio.Event().wait()

    monkeypatch.setattr("queue_agent.lease._ANSWER_S", 0.01)
    jobs = FakeTable()
    jobs.cancel_requested = AsyncMock(return_value=False)
    await held(lease_of(jobs, queue, never), lambda: jobs.cancel_requested.await_count > 1)


@pytest.mark.parametrize(("ends", "written"), [(False, [("renew", 1)]), (True, [])])
async def test_only_a_longer_attempt_is_written_before_the_jobs_end(queue, monkeypatch, ends, written):
    monkeypatch.setattr("queue_agent.lease._EARLY_BEAT_S", 0.01)
    queue.visibility_s, jobs = 90, FakeTable()
    async with lease_of(jobs, queue) as lease:
        lease.attempt_started()
        lease.attempt_started()
        if ends:
            lease.attempt_ended()
        await asyncio.sleep(0.1)
    assert (jobs.writes, lease.attempts) == (written, 1)


async def test_a_heartbeat_survives_unexpected_errors_and_a_message_that_cannot_be_kept_hidden(
    queue, monkeypatch, caplog
):
    monkeypatch.setattr("queue_agent.lease._FIRST_RETRY_S", 0.001)
    jobs, queue.extend = FakeTable(), AsyncMock(side_effect=PlatformError("out"))
    jobs.broken = {"renew": KeyError("attempts")}
    async with lease_of(jobs, queue) as lease:
        await until(lambda: caplog.records)
        jobs.broken.clear()
        await until(lambda: len(jobs.writes) > 3)
        lease.check()


@pytest.mark.parametrize("ends", [False, True])
async def test_a_cancellation_from_outside_is_not_taken_for_the_leases_own_nor_lost_at_its_end(queue, ends):
    async def work():
        async with lease_of(FakeTable(), queue) as lease:
            asyncio.current_task().cancel()  # comes at the next await: below, or that for the heartbeat's end
            if not ends:
                with lease.interruptible():
                    await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_released_job_is_not_hidden_again_by_a_late_heartbeat(queue):
    async with lease_of(FakeTable(), queue) as lease:
        await lease.release(blameless=True)
        await asyncio.sleep(0.5)
    assert queue.log == [("release", 0)]


async def test_a_message_stays_hidden_while_the_notice_of_an_ended_job_is_slow(queue):
    jobs = FakeTable()
    async with lease_of(jobs, queue) as lease:
        await lease.complete(SimpleNamespace(status="succeeded"))
        jobs.broken = {"renew": LeaseLost()}  # as DynamoDB says of a job that has ended
        await until(lambda: len(queue.log) == 3)
    assert queue.log == ["extend"] * 3
