import asyncio
import contextlib
import json
import socket

import pytest
from aiohttp import web
from driverkit import client_of

from queue_agent.errors import ServerAway, ServerError
from runtimes import _http as client_module
from runtimes._http import ModelServerClient, write_json


def server(handler):
    """A client of a model server that gives every request to one handler."""
    return client_of(web.route("*", "/{path:.*}", handler), path="/api/")


async def test_what_is_asked_stands_below_the_base_url_and_the_health_path_beside_it(caplog):
    caplog.set_level("INFO", "runtimes")
    asked = []

    async def handler(request):
        asked.append(request.raw_path)
        return web.json_response({}, status=404 if asked.count("/health") == 1 and asked[-1] == "/health" else 200)

    async with server(handler) as client:
        await client.get_json("object_info/A%2FB%20C")
        await client.get_json("view", params={"filename": "a b+ä.png", "subfolder": ""})
        await client.wait_until_ready()
    assert asked == [
        "/api/object_info/A%2FB%20C",
        "/api/view?filename=a+b%2B%C3%A4.png&subfolder=",
        *["/health"] * 2,
    ]
    answers = f"The model server at {client.origin} answers 404 to /health."
    assert caplog.messages == [f"waiting for the model server: {answers}"]


async def test_an_answer_that_breaks_off_is_the_servers_fault_wherever_it_is_read():
    async def half(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 500)
        request.transport.close()
        return response

    broken = pytest.raises(ServerError, match=r"at http://127\.0\.0\.1:\d+ does not answer")
    async with server(half) as client:
        with broken:
            await client.send("GET", "x")
        async with client.stream("GET", "x") as answer:
            assert await anext(answer.chunks) == b"x" * 500
            with broken:
                await anext(answer.chunks)


async def test_a_server_that_cannot_be_reached_is_away_and_named_without_its_password():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = ModelServerClient(f"http://user:secret@127.0.0.1:{port}/api", "/")
        with pytest.raises(ServerAway, match=f"http://127.0.0.1:{port} does not answer"):
            await client.send("POST", "x")
        await client.aclose()


async def test_a_post_whose_answer_is_lost_is_not_sent_again():
    asked = []

    async def handler(request):
        asked.append(request.path)
        if len(asked) > 1:
            request.transport.close()
        return web.json_response({})

    async with server(handler) as client:
        await client.send("POST", "prompt", json={})
        with pytest.raises(ServerError):
            await client.send("POST", "prompt", json={})
    assert len(asked) == 2


async def test_a_probe_is_answered_at_once_however_many_streams_are_open():
    over = asyncio.Event()

    async def handler(request):
        if request.path.startswith("/api/jobs"):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"event")
            await over.wait()
            return response
        return web.json_response({"live": True})

    async with server(handler) as client, contextlib.AsyncExitStack() as streams:
        for number in range(40):
            answer = await streams.enter_async_context(client.stream("GET", f"jobs/{number}"))
            assert await anext(answer.chunks) == b"event"
        assert (await client.send("GET", "health", timeout_s=5)).status == 200
        over.set()  # the server waits for its handlers before it ends


async def test_an_answer_larger_than_it_may_be_or_that_trickles_in_for_ever_is_not_read_to_its_end(monkeypatch):
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)
            await asyncio.sleep(0.01)

    async with server(endless) as client:
        with pytest.raises(ServerError, match="larger than 5000 bytes"):
            await client.get_json("history", max_bytes=5000)
        async with client.stream("GET", "view", max_bytes=5000) as answer:
            with pytest.raises(ServerError, match="larger than 5000 bytes"):
                [chunk async for chunk in answer.chunks]
        monkeypatch.setattr(client_module, "_WHOLE_ANSWER_S", 0.1)
        with pytest.raises(ServerError, match="did not send its whole response within"):
            await client.send("GET", "x")


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x" * 3_000_000, "b": ['é\n"' * 1_000_000, {"c": "😀" * 1_500_000}], "d": 1},
        {"a": 10**30, "b": "x" * 2_000_000},
        *({}, [], "x" * 2_000_000),
    ],
)
def test_json_is_written_as_it_was_however_long_its_texts(value):
    assert json.loads(write_json(value)) == value


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 5_000_000, (b"{", memoryview(b"x" * 3_000_000)[1:], b"}")])
async def test_a_body_is_sent_whole_and_with_its_length(body):
    async def handler(request):
        names = ("Content-Length", "Transfer-Encoding")
        got.append((*[request.headers.get(name) for name in names], await request.read()))
        return web.json_response({})

    got = []
    sent = body if isinstance(body, bytes) else b"".join(body)
    async with server(handler) as client:
        await client.send("POST", "x", data=body, headers={"Content-Type": "application/json"})
    assert got == [(str(len(sent)), None, sent)]
