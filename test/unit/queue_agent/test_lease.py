"""A lease, with a visibility timeout of its own."""

import asyncio
import time
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
from agentkit import JOB, FakeQueue, FakeTable, until

from contract.deadlines import DEFAULT_DEADLINES
from jobs.job import Progress
from queue_agent.errors import LeaseLost, PlatformError
from queue_agent.job_context import JobContext
from queue_agent.lease import Lease, lease_s


def lease_of(jobs, queue, progress=None):
    rest = dict.fromkeys(("message", "task", "traceparent", "memory", "telemetry"))
    slot = SimpleNamespace(progress=AsyncMock(return_value=progress))
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
    async with lease_of(jobs, queue, progress=0.25) as lease:
        await until(lambda: renew.await_count == 1)
        lease.attempt_started()
        await until(lambda: renew.await_count > 1)
    renewed = [(call.kwargs["attempts"], call.kwargs["progress"]) for call in renew.await_args_list]
    assert renewed[:2] == [(0, None), (1, Progress(fraction=0.25))]
    assert queue.log[:2] == ["extend"] * 2


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
