"""When the server takes no more jobs."""

from types import SimpleNamespace

import pytest

from contract.flux.families import FAMILIES
from contract.flux.options import ModelOptions, card_of
from runtimes.flux import service as module
from runtimes.flux.job_book import JobBook
from runtimes.flux.service import Service, UnavailableError

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

    async def one(**values: object) -> None:
        edit = {"instructions": "make it blue", "image": picture(SIDE, SIDE), "size": SIDE, **values}
        await service.submit(edit, "edit", None)

    return one


async def test_jobs_are_taken_until_the_images_and_masks_of_those_that_wait_take_too_much(submit, picture, monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING_BYTES", 2 * (IMAGE_BYTES + MASK_BYTES))
    mask = picture(SIDE, SIDE, mode="L", colour="white")
    await submit(mask=mask)
    await submit(mask=mask)
    with pytest.raises(UnavailableError, match="too many jobs are waiting"):
        await submit()


async def test_jobs_below_the_limit_of_bytes_are_taken(submit, monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING_BYTES", 2 * IMAGE_BYTES + 1)
    for _ in range(3):
        await submit()
    with pytest.raises(UnavailableError):
        await submit()
