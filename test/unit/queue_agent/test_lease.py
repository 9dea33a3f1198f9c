"""A lease in a time of its own."""

import asyncio

import pytest
from agentkit import JOB, Queue, Table

from queue_agent.errors import LeaseLost, PlatformError, ServerError
from queue_agent.lease import Lease, lease_s

OUT = PlatformError("out")


def lease_of(jobs, queue, claim=None, progress=None):
    async def nothing():
        return None

    return Lease(
        queue=queue,
        jobs=jobs,
        message=None,
        job=JOB,
        claim=claim or jobs.claimed,
        held_since_s=asyncio.get_running_loop().time(),
        progress=progress or nothing,
        clock=asyncio.get_running_loop().time,
    )


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (what is waited for is no event)
            await asyncio.sleep(0.001)


@pytest.fixture
def queue():
    queue = Queue()
    queue.visibility_s = 0.6
    return queue


@pytest.mark.parametrize(("visibility_s", "left_s"), [(90, 85), (12, 10)])
def test_a_lease_ends_before_its_message_is_delivered_again(visibility_s, left_s):
    assert lease_s(visibility_s) == left_s


async def test_claim_and_message_are_renewed_together_three_times_a_period(queue):
    jobs = Table()
    async with lease_of(jobs, queue):
        await asyncio.sleep(0.65)
    assert jobs.writes == [("renew", 0)] * 3
    assert queue.log == ["extend"] * 3


async def test_an_attempt_is_noted_a_second_after_the_server_got_the_job_however_long_the_period(queue, monkeypatch):
    monkeypatch.setattr("queue_agent.lease._BEGUN_BEAT_S", 0.05)
    queue.visibility_s, jobs = 90, Table()
    async with lease_of(jobs, queue) as lease:
        lease.begin()
        lease.begin()
        await asyncio.sleep(0.15)
    assert jobs.writes == [("renew", 1)]


async def test_a_job_that_leaves_the_server_sooner_is_not_noted_as_begun_before_its_end(queue, monkeypatch):
    monkeypatch.setattr("queue_agent.lease._BEGUN_BEAT_S", 0.05)
    queue.visibility_s, jobs = 90, Table()
    async with lease_of(jobs, queue) as lease:
        lease.begin()
        lease.left_server()
        await asyncio.sleep(0.15)
    assert (jobs.writes, lease.attempts) == ([], 1)


async def test_a_beat_after_the_beginning_tells_how_far_the_job_is(queue):
    jobs, told = Table(), []

    async def progress():
        return 0.25

    async def renew(job, claim, *, lease_s, attempts, progress):
        told.append(progress)

    jobs.renew = renew
    async with lease_of(jobs, queue, progress=progress) as lease:
        await asyncio.sleep(0.25)
        lease.begin()
        await asyncio.sleep(0.25)
    assert told == [None, 0.25]


@pytest.mark.parametrize("fault", [ServerError("500"), KeyError("progress")])
async def test_a_job_whose_progress_nobody_can_tell_is_kept(queue, fault):
    jobs = Table()

    async def progress():
        raise fault

    async with lease_of(jobs, queue, progress=progress) as lease:
        lease.begin()
        with lease.interruptible():
            await until(lambda: jobs.writes.count(("renew", 1)) >= 4)
        lease.check()


async def test_a_heartbeat_survives_what_nobody_foresaw(queue, monkeypatch, caplog):
    monkeypatch.setattr("queue_agent.lease._FIRST_RETRY_S", 0.001)
    jobs = Table()
    jobs.broken = {"renew": KeyError("attempts")}
    async with lease_of(jobs, queue) as lease:
        await until(lambda: caplog.records)
        jobs.broken.clear()
        await until(lambda: jobs.writes)
        lease.check()


async def test_who_is_cancelled_while_a_lease_ends_stays_cancelled(queue):
    lease = lease_of(Table(), queue)

    async def hold():
        async with lease:
            asyncio.current_task().cancel()  # comes at the next await, which is that for the heartbeat's end

    task = asyncio.create_task(hold())
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_renewal_that_fails_for_a_while_is_made_up_before_the_lease_ends(queue, monkeypatch):
    monkeypatch.setattr("queue_agent.lease._FIRST_RETRY_S", 0.02)
    jobs = Table()
    jobs.broken = {"renew": OUT}
    asyncio.get_running_loop().call_later(0.35, jobs.broken.clear)
    async with lease_of(jobs, queue) as lease:
        with lease.interruptible():
            await asyncio.sleep(0.9)
        lease.check()
    assert ("renew", 0) in jobs.writes


async def test_a_job_is_stopped_before_its_lease_ends_elsewhere_when_it_cannot_be_renewed(queue):
    jobs = Table()
    jobs.broken = {"renew": OUT}
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    async with lease_of(jobs, queue) as lease:
        with pytest.raises(LeaseLost), lease.interruptible():
            await asyncio.sleep(5)
        with pytest.raises(LeaseLost):
            lease.check()
    assert loop.time() - start_s < queue.visibility_s


@pytest.mark.parametrize("authoritative", [True, False])
async def test_a_message_that_cannot_be_kept_hidden_ends_the_lease_only_where_no_table_keeps_it(queue, authoritative):
    jobs = Table()
    jobs.authoritative = authoritative

    async def extend(message):
        raise OUT

    queue.extend = extend
    async with lease_of(jobs, queue) as lease:
        await asyncio.sleep(0.7)
        if authoritative:
            lease.check()
        else:
            with pytest.raises(LeaseLost):
                lease.check()


async def test_a_cancellation_from_outside_is_not_taken_for_the_leases_own(queue):
    jobs = Table()

    async def work():
        async with lease_of(jobs, queue) as lease:
            with lease.interruptible():
                await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_job_given_back_is_hidden_no_more_by_a_late_heartbeat(queue):
    jobs = Table()
    async with lease_of(jobs, queue) as lease:
        await lease.hand_back(blameless=True, start_s=1)
        await asyncio.sleep(0.5)
    assert queue.log == [("release", 0)]
