"""The limits for bodies of requests, here a few bytes."""

import json

import pytest
from fastapi import Request

from runtimes.flux.server.api.bodies import BodyReader
from runtimes.flux.server.errors import BodyTooLargeError, InvalidGenerationError, UnavailableError

MOST = 100


def posted(body, pieces=1, announced=None):
    """A request whose body comes in pieces."""
    size = -(-len(body) // pieces)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    messages = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])

    async def receive():
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def of_size(size):
    """A JSON object of a given size in bytes."""
    return json.dumps({"a": "x" * (size - len('{"a": ""}'))}).encode()


@pytest.fixture
def bodies():
    return BodyReader(max_bytes=MOST, at_once=2)


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_body_at_the_limit_is_accepted_and_one_byte_more_is_rejected(bodies, pieces):
    async with bodies.object_of(posted(of_size(MOST), pieces, announced=MOST)) as content:
        assert set(content) == {"a"}
    with pytest.raises(BodyTooLargeError, match="MiB"):
        async with bodies.object_of(posted(of_size(MOST + 1), pieces)):
            pass


async def test_bodies_beyond_the_total_limit_are_rejected_and_no_longer_count(bodies):
    for rejected in (of_size(MOST + 1), b"[" + b" " * (MOST - 2) + b"]") * 3:
        with pytest.raises((BodyTooLargeError, InvalidGenerationError)):
            async with bodies.object_of(posted(rejected, pieces=5)):
                pass
    async with bodies.object_of(posted(of_size(MOST))):
        async with bodies.object_of(posted(of_size(MOST))):
            with pytest.raises(UnavailableError):
                async with bodies.object_of(posted(of_size(20))):
                    pass
        async with bodies.object_of(posted(of_size(20))):
            pass
