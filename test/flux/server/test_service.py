"""Which jobs the server takes."""

import asyncio
from types import SimpleNamespace

import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server import service as module
from runtimes.flux.server.job_book import JobBook
from runtimes.flux.server.jobs import Job
from runtimes.flux.server.service import ConflictError, Service, UnavailableError

CARD = card_of(ModelOptions(profile="flux-kontext"), FAMILIES["flux-kontext"])
SIDE = 64
IMAGE_BYTES, MASK_BYTES = 3 * SIDE * SIDE, SIDE * SIDE


@pytest.fixture
def service() -> Service:
    """A service whose jobs all wait."""
    book = JobBook()
    dispatcher = SimpleNamespace(card=CARD, given_up=None, add=book.add)
    return Service(SimpleNamespace(), book, dispatcher)


@pytest.fixture
def submit(service, picture):
    """Submits an edit."""

    async def one(job_id: str | None = None, **values: object) -> tuple[Job, bool]:
        edit = {"instructions": "make it blue", "image": picture(SIDE, SIDE), "size": SIDE, **values}
        return await service.submit(edit, "edit", job_id)

    return one


async def test_jobs_are_taken_until_the_images_and_masks_of_those_that_wait_take_too_much(submit, picture, monkeypatch):
    monkeypatch.setattr(module, "_MAX_WAITING_BYTES", 2 * (IMAGE_BYTES + MASK_BYTES))
    mask = picture(SIDE, SIDE, mode="L", colour="white")
    await submit(mask=mask)
    await submit(mask=mask)
    with pytest.raises(UnavailableError, match="too many jobs are waiting"):
        await submit()


async def test_jobs_below_the_limit_of_bytes_are_taken(submit, monkeypatch):
    monkeypatch.setattr(module, "_MAX_WAITING_BYTES", 2 * IMAGE_BYTES + 1)
    for _ in range(3):
        await submit()
    with pytest.raises(UnavailableError):
        await submit()


async def test_of_equal_requests_that_come_at_once_under_an_id_one_is_new_and_all_get_its_job(submit, service):
    found = await asyncio.gather(*(submit("a") for _ in range(3)))
    assert sorted(new for _, new in found) == [False, False, True]
    assert {job for job, _ in found} == set(service.book)


async def test_of_different_requests_that_come_at_once_under_an_id_one_is_taken(submit, service):
    found = await asyncio.gather(submit("a", seed=1), submit("a", seed=2), return_exceptions=True)
    assert sorted(isinstance(one, ConflictError) for one in found) == [False, True]
    assert len(list(service.book)) == 1
