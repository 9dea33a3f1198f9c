"""A request's body is let go of once its job waits, however long its caller does."""

import asyncio
import json
import weakref
from types import SimpleNamespace

import httpx
import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server import intake
from runtimes.flux.server.app import build_app
from runtimes.flux.server.job_book import JobBook
from runtimes.flux.server.metrics import Metrics
from runtimes.flux.server.service import Service


class Text(str):
    """A text that can be watched."""

    __slots__ = ("__weakref__",)


@pytest.fixture
def service() -> Service:
    """A service whose jobs all wait, and whose callers wait for a moment."""
    book = JobBook()
    options = ModelOptions(profile="flux-schnell", requestSeconds=0.5)
    dispatcher = SimpleNamespace(
        card=card_of(options, FAMILIES["flux"]),
        given_up=None,
        add=book.add,
        stop=lambda job, state, error: job.end(state, error),
    )
    return Service(SimpleNamespace(options=options), book, dispatcher)


async def test_nothing_of_a_body_is_held_while_its_caller_waits_for_the_picture(service, picture, monkeypatch):
    images = []

    def loads(body: bytes) -> dict:
        content = json.loads(body)
        content["image"] = Text(content["image"])
        images.append(weakref.ref(content["image"]))
        return content

    monkeypatch.setattr(intake, "loads", loads)
    transport = httpx.ASGITransport(build_app(service, Metrics(lambda: 0)))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
        asked = asyncio.create_task(
            http.post("/generate", json={"prompt": "a fox", "image": picture(), "width": 64, "height": 64})
        )
        async with asyncio.timeout(5):
            while not service.book.waiting:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert [image() for image in images] == [None]
        assert (await asked).status_code == 504
