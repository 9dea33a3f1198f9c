"""What the server keeps of jobs, and for how long."""

import asyncio

import pytest

from runtimes.flux.server.engine.jobs import ServerJob, ServerJobError, ServerJobs
from runtimes.flux.server.ports import GenerationRequest
from runtimes.flux.server.worker.protocol import JobOutput

CANCELLED = ServerJobError("cancelled", "")


def job(name="a"):
    return ServerJob(
        GenerationRequest(
            job_id=name, task_type="text-to-image", prompt="a fox", seeds=(1,), width=64, height=64, steps=4, guidance=0
        )
    )


def picture(name="a", size_bytes=0):
    return JobOutput(1, name, 1, "image/png", bytes(size_bytes))


def ended(jobs, name, size_bytes=0, error=None):
    one = job(name)
    jobs.add(one)
    one.take(picture(name, size_bytes))
    one.end(error)
    jobs.settle(one)
    return one


async def is_done(waiting):
    """Whether a wait is over by now."""
    task = asyncio.ensure_future(waiting)
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done() or (task.cancel(), False)[1]


async def test_an_ended_job_is_forgotten_after_its_time():
    jobs = ServerJobs(kept_seconds=0.01)
    ended(jobs, "a")
    assert jobs.get("a") is not None
    async with asyncio.timeout(60):
        while jobs.get("a") is not None:  # noqa: ASYNC110 (nothing is announced)
            await asyncio.sleep(0.01)


async def test_the_oldest_ended_jobs_go_first_where_they_hold_too_much():
    jobs = ServerJobs(kept_bytes=250)
    for name in "abc":
        ended(jobs, name, 100)
    assert [name for name in "abc" if jobs.get(name)] == ["b", "c"]


async def test_the_last_ended_job_stays_however_much_it_holds():
    jobs = ServerJobs(kept_bytes=250)
    ended(jobs, "a", 1000)
    assert jobs.get("a") is not None


async def test_a_running_job_is_never_forgotten():
    jobs, one = ServerJobs(), job()
    jobs.add(one)
    jobs.forget(one)
    assert jobs.get("a") is one


async def test_jobs_that_are_put_back_wait_before_later_ones():
    jobs = ServerJobs()
    posted = [job(name) for name in "abc"]
    for one in posted:
        jobs.add(one)
    jobs.take(posted[:2])
    jobs.put_back(reversed(posted[:2]))
    assert [one.id for one in jobs.waiting] == ["a", "b", "c"]


async def test_jobs_are_idle_once_the_last_one_has_ended():
    jobs, one = ServerJobs(), job()
    jobs.add(one)
    assert not await is_done(jobs.until(lambda job: job.has_ended))
    one.end(CANCELLED)
    jobs.settle(one)
    assert await is_done(jobs.until(lambda job: job.has_ended))


async def test_the_last_output_that_is_fetched_ends_the_wait_for_fetches():
    jobs = ServerJobs()
    for name in "ab":
        ended(jobs, name)
    for name in "ab":
        assert not await is_done(jobs.until(lambda job: job.is_fetched))
        jobs.fetch(jobs.get(name), 1)
    assert await is_done(jobs.until(lambda job: job.is_fetched))


@pytest.mark.parametrize("why", ["it is forgotten", "it has no pictures"])
async def test_the_outputs_of_a_job_are_not_waited_for_when(why):
    jobs = ServerJobs()
    one = ended(jobs, "a", error=CANCELLED if "no pictures" in why else None)
    if "forgotten" in why:
        jobs.forget(one)
    assert await is_done(jobs.until(lambda job: job.is_fetched))


async def test_progress_never_goes_back():
    one = job()
    for share in (0.5, 0.3, 0.6):
        one.step(share)
    assert one.progress == pytest.approx(0.6)


async def test_an_output_that_was_asked_for_before_it_was_there_or_that_is_drawn_again_is_not_fetched():
    jobs, one, output = ServerJobs(), job(), picture()
    assert jobs.fetch(one, 1) is None
    one.take(output)
    assert not one.is_fetched
    assert jobs.fetch(one, 1) is output
    assert one.is_fetched
    one.wait_again()
    one.take(output)
    assert not one.is_fetched
