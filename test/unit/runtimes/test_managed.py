"""Clients of managed services, and services that answer without end or break off."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from queue_agent.errors import ExecutionFailed, ServerError
from runtimes._managed import ManagedService, read_body

MODEL = "stability.stable-image-core-v1:1"
CHUNK = b"x" * 1024 * 1024


@pytest.fixture
async def answer(monkeypatch):
    """Makes a call that is answered by what a coroutine does with the stream; returns the body."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    service = ManagedService("bedrock-runtime", region="us-west-2", read_timeout_s=60)
    servers = []

    async def called(write, **headers):
        async def handle(request):
            stream = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
            await stream.prepare(request)
            await write(stream)
            return stream

        app = web.Application()
        app.router.add_post("/{path:.*}", handle)
        servers.append(server := TestServer(app))
        await server.start_server(shutdown_timeout=0)
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", str(server.make_url("")).rstrip("/"))
        return (await service.call("invoke_model", modelId=MODEL, body=b"{}"))["body"]

    yield called
    await service.aclose()
    for server in servers:
        await server.close()


async def test_an_answer_is_read_to_its_end(answer):
    async def write(stream):
        await stream.write(CHUNK)
        await stream.write(b"y")

    assert await read_body(await answer(write), "it") == CHUNK + b"y"


async def test_an_answer_without_end_is_not_kept(answer):
    sent = 0

    async def write(stream):
        nonlocal sent
        while True:
            await stream.write(CHUNK)
            sent += 1

    with pytest.raises(ExecutionFailed, match="of it is larger than 2 MiB"):
        await read_body(await answer(write), "it", max_bytes=2 * len(CHUNK))
    assert sent < 100  # what sockets hold


async def test_an_answer_that_breaks_off_is_the_services_fault(answer):
    async def write(stream):
        await stream.write(b"{")
        raise ConnectionAbortedError

    with pytest.raises(ServerError, match="it did not answer to the end"):
        await read_body(await answer(write, **{"Content-Length": "100"}), "it")
