"""Which jobs the server accepts, what it keeps of them, and for how long."""

import asyncio
import json
import weakref
from dataclasses import replace

import httpx
import pytest

from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.profiles import PROFILES
from runtimes.flux.server.api import bodies
from runtimes.flux.server.api.app import build_app
from runtimes.flux.server.engine import engine as module
from runtimes.flux.server.engine.engine import Engine
from runtimes.flux.server.engine.jobs import ServerJob, ServerJobs
from runtimes.flux.server.errors import JobIdConflictError, UnavailableError
from runtimes.flux.server.ports import GenerationRequest
from runtimes.flux.server.settings import read_settings
from runtimes.flux.server.worker.protocol import BatchProgress, JobOutput

SIDE = 64
IMAGE_BYTES, MASK_BYTES = 3 * SIDE * SIDE, SIDE * SIDE
REQUEST = GenerationRequest(
    job_id="a", task_type="text-to-image", prompt="a fox", seeds=(1,), width=64, height=64, steps=4, guidance=0
)


@pytest.fixture
def engine(monkeypatch):
    """An engine without running workers: all jobs wait, and callers wait for a few seconds."""
    monkeypatch.setenv("MODEL_OPTIONS", json.dumps({"profile": "flux-kontext", "requestSeconds": 3}))
    engine = Engine(read_settings())
    engine.scheduler.card = card_of(ModelOptions(profile="flux-kontext"), PROFILES["flux-kontext"].family)
    return engine


@pytest.fixture
def submit(engine, picture):
    """Submits an edit."""

    async def one(job_id=None, **values):
        edit = {"instructions": "make it blue", "image": picture(SIDE, SIDE), "size": SIDE, **values}
        return (await engine.submit(edit, "edit", job_id))[0]

    return one


async def test_jobs_are_accepted_until_the_images_of_waiting_ones_take_too_much_memory(
    engine, submit, picture, monkeypatch
):
    monkeypatch.setattr(module, "_MAX_WAITING_BYTES", 2 * (IMAGE_BYTES + MASK_BYTES))
    mask = picture(SIDE, SIDE, mode="L", colour="white")
    await submit(mask=mask)
    job = await submit(mask=mask)
    with pytest.raises(UnavailableError, match="too many jobs are waiting"):
        await submit()
    assert job.request.image_bytes == IMAGE_BYTES + MASK_BYTES
    engine.cancel(job)
    assert not job.request.images, "images of an ended job are released"


async def test_of_different_requests_with_one_id_at_once_only_one_is_accepted(submit, engine):
    found = await asyncio.gather(submit("a", seed=1), submit("a", seed=2), return_exceptions=True)
    assert sorted(isinstance(one, JobIdConflictError) for one in found) == [False, True]
    assert len(list(engine.jobs)) == 1


class Text(str):
    """A text that can have weak references."""

    __slots__ = ("__weakref__",)


async def test_a_body_is_freed_while_its_caller_waits_for_the_picture(engine, picture, monkeypatch):
    images = []

    def loads(body):
        content = json.loads(body)
        content["image"] = Text(content["image"])
        images.append(weakref.ref(content["image"]))
        return content

    monkeypatch.setattr(bodies, "loads", loads)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(engine)), base_url="http://here") as http:
        body = {"instructions": "make it blue", "image": picture(), "size": SIDE}
        asked = asyncio.create_task(http.post("/edit", json=body))
        async with asyncio.timeout(60):
            while not engine.jobs.waiting or images[0]() is not None:  # noqa: ASYNC110 (nothing is announced)
                await asyncio.sleep(0.01)
        assert not asked.done()
        assert (await asked).status_code == 504


def added(jobs, *names):
    found = [ServerJob(replace(REQUEST, job_id=name)) for name in names]
    for one in found:
        jobs.add(one)
    return found


def ended(jobs, name, size_bytes=0):
    (one,) = added(jobs, name)
    one.take(JobOutput(1, name, 1, "image/png", bytes(size_bytes)))
    one.end(None)
    jobs.settle(one)
    return one


async def test_an_ended_job_is_forgotten_after_its_time_and_a_running_one_never():
    jobs = ServerJobs(kept_seconds=0.01)
    ended(jobs, "a")
    (runs,) = added(jobs, "b")
    jobs.forget(runs)
    assert [one.id for one in jobs] == ["a", "b"]
    async with asyncio.timeout(60):
        while jobs.get("a") is not None:  # noqa: ASYNC110 (nothing is announced)
            await asyncio.sleep(0.01)
    assert list(jobs) == [runs]


@pytest.mark.parametrize(("sizes", "kept"), [((100, 100, 100), "bc"), ((100, 1000), "b")])
async def test_the_oldest_ended_jobs_are_forgotten_first_if_outputs_take_too_much_and_the_last_one_stays(sizes, kept):
    jobs = ServerJobs(kept_bytes=250)
    for name, size_bytes in zip("abc", sizes, strict=False):
        ended(jobs, name, size_bytes)
    assert [one.id for one in jobs] == list(kept)


async def test_jobs_put_back_come_before_later_ones():
    jobs = ServerJobs()
    posted = added(jobs, *"abc")
    jobs.take(posted[:2])
    jobs.put_back(reversed(posted[:2]))
    assert jobs.waiting == posted


async def test_a_wait_for_all_jobs_ends_when_the_last_one_is_fetched_or_forgotten():
    jobs = ServerJobs()
    fetched, forgotten = ended(jobs, "a"), ended(jobs, "b")
    waiting = asyncio.create_task(jobs.until(lambda job: job.is_fetched))
    for change in (lambda: jobs.fetch(fetched, 1), lambda: jobs.forget(forgotten)):
        await asyncio.sleep(0)
        assert not waiting.done()
        change()
    async with asyncio.timeout(60):
        await waiting


async def test_progress_never_goes_back_and_an_output_counts_as_fetched_until_it_is_drawn_again():
    jobs, one, output = ServerJobs(), ServerJob(REQUEST), JobOutput(1, "a", 1, "image/png", b"")
    for share, step in ((0.5, 4), (0.3, 1)):
        one.advance(BatchProgress(1, share, step, 4))
    assert (one.progress, one.step, one.steps) == (0.5, 1, 4)
    assert jobs.fetch(one, 1) is None
    one.take(output)
    assert not one.is_fetched
    assert jobs.fetch(one, 1) is output
    assert one.is_fetched
    one.wait_again()
    one.take(output)
    assert not one.is_fetched
