"""How much of requests' bodies the server takes; with limits of a few bytes."""

import json
from contextlib import AsyncExitStack

import pytest
from fastapi import Request

from contract.inputs import MAX_LINKED_BYTES
from runtimes.flux.server.intake import MAX_BODY_MIB, Intake, TooLargeError
from runtimes.flux.server.orders import RequestFaults
from runtimes.flux.server.service import UnavailableError

MOST = 100


def posted(body: bytes, pieces: int = 1, announced: int | None = None) -> Request:
    """A request whose body comes in pieces."""
    size = -(-len(body) // pieces)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    messages = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])
    last = {"type": "http.request", "body": b"", "more_body": False}

    async def receive() -> dict:
        return next(messages, last)

    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def of_size(size: int) -> bytes:
    """A JSON object of so many bytes."""
    return json.dumps({"a": "x" * (size - len('{"a": ""}'))}).encode()


@pytest.fixture
def intake() -> Intake:
    return Intake(max_bytes=MOST, at_once=2)


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_body_of_exactly_the_limit_is_taken(intake, pieces):
    async with intake.object_of(posted(of_size(MOST), pieces, announced=MOST)) as content:
        assert set(content) == {"a"}


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_body_of_one_byte_more_is_refused_with_the_limit(intake, pieces):
    with pytest.raises(TooLargeError, match="MiB"):
        async with intake.object_of(posted(of_size(MOST + 1), pieces)):
            pass


async def test_what_is_announced_as_too_large_is_not_read(intake):
    async def receive() -> dict:
        raise AssertionError("the body was read")

    request = posted(b"{}", announced=MOST + 1)
    request._receive = receive
    with pytest.raises(TooLargeError):
        async with intake.object_of(request):
            pass


async def test_bodies_beyond_what_may_be_held_together_are_refused_until_one_is_done_with(intake):
    async with AsyncExitStack() as held:
        await held.enter_async_context(intake.object_of(posted(of_size(MOST))))
        async with intake.object_of(posted(of_size(MOST))):
            with pytest.raises(UnavailableError):
                await held.enter_async_context(intake.object_of(posted(of_size(20))))
        await held.enter_async_context(intake.object_of(posted(of_size(20))))


async def test_a_body_that_is_refused_holds_nothing_back(intake):
    for _ in range(3):
        with pytest.raises(TooLargeError):
            async with intake.object_of(posted(of_size(MOST + 1), pieces=5)):
                pass
        with pytest.raises(RequestFaults):
            async with intake.object_of(posted(b"[" + b" " * (MOST - 2) + b"]")):
                pass
    async with intake.object_of(posted(of_size(MOST))), intake.object_of(posted(of_size(MOST))):
        pass


def test_the_limit_holds_all_that_a_tasks_links_may_lead_to_in_base64():
    assert MAX_LINKED_BYTES * 4 / 3 < MAX_BODY_MIB * 1024 * 1024
