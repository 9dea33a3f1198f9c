"""Which jobs the server takes, and what it holds of them."""

import asyncio
import json
import weakref

import httpx
import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server.api import bodies
from runtimes.flux.server.api.app import build_app
from runtimes.flux.server.engine import engine as module
from runtimes.flux.server.engine.engine import Engine
from runtimes.flux.server.errors import JobIdConflictError, UnavailableError
from runtimes.flux.server.settings import read_settings

SIDE = 64
IMAGE_BYTES, MASK_BYTES = 3 * SIDE * SIDE, SIDE * SIDE


@pytest.fixture
def engine(monkeypatch):
    """An engine whose workers never come, so that all jobs wait, and callers wait for a moment."""
    monkeypatch.setenv("MODEL_OPTIONS", json.dumps({"profile": "flux-kontext", "requestSeconds": 3}))
    engine = Engine(read_settings())
    engine.scheduler.card = card_of(ModelOptions(profile="flux-kontext"), FAMILIES["flux-kontext"])
    return engine


@pytest.fixture
def submit(engine, picture):
    """Submits an edit."""

    async def one(job_id=None, **values):
        edit = {"instructions": "make it blue", "image": picture(SIDE, SIDE), "size": SIDE, **values}
        return await engine.submit(edit, "edit", job_id)

    return one


async def test_jobs_are_taken_until_the_images_and_masks_of_those_that_wait_take_too_much(submit, picture, monkeypatch):
    monkeypatch.setattr(module, "_MAX_WAITING_BYTES", 2 * (IMAGE_BYTES + MASK_BYTES))
    mask = picture(SIDE, SIDE, mode="L", colour="white")
    await submit(mask=mask)
    job, _ = await submit(mask=mask)
    with pytest.raises(UnavailableError, match="too many jobs are waiting"):
        await submit()
    assert job.request.image_bytes == IMAGE_BYTES + MASK_BYTES


async def test_images_of_an_ended_job_are_let_go(submit, engine):
    job, _ = await submit()
    assert job.request.images
    engine.cancel(job)
    assert not job.request.images


async def test_of_equal_requests_that_come_at_once_under_an_id_one_is_new_and_all_get_its_job(submit, engine):
    found = await asyncio.gather(*(submit("a") for _ in range(3)))
    assert sorted(is_new for _, is_new in found) == [False, False, True]
    assert {job for job, _ in found} == set(engine.jobs)


async def test_of_different_requests_that_come_at_once_under_an_id_one_is_taken(submit, engine):
    found = await asyncio.gather(submit("a", seed=1), submit("a", seed=2), return_exceptions=True)
    assert sorted(isinstance(one, JobIdConflictError) for one in found) == [False, True]
    assert len(list(engine.jobs)) == 1


class Text(str):
    """A text that can be watched."""

    __slots__ = ("__weakref__",)


async def test_nothing_of_a_body_is_held_while_its_caller_waits_for_the_picture(engine, picture, monkeypatch):
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
