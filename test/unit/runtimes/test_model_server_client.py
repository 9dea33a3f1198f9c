import asyncio
import contextlib
import json
import socket

import pytest
from aiohttp import web

from queue_agent.errors import ServerAway, ServerError
from runtimes import _http as client_module
from runtimes._http import ModelServerClient, write_json


@contextlib.asynccontextmanager
async def server(handler):
    """A model server on loopback that gives every request to one handler, and a client of it."""
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = ModelServerClient(f"127.0.0.1:{runner.addresses[0][1]}/api", "/ready")
    yield client
    await client.aclose()
    await runner.cleanup()


async def half(request):
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x" * 500)
    request.transport.close()
    return response


async def test_what_is_asked_stands_below_the_base_url_and_the_health_path_beside_it():
    asked = []

    async def handler(request):
        asked.append(request.raw_path)
        return web.json_response({})

    async with server(handler) as client:
        await client.get_json("object_info/A%2FB%20C")
        await client.get_json("view", params={"filename": "a b+ä.png", "subfolder": ""})
        await client.wait_until_ready()
    assert asked == [
        "/api/object_info/A%2FB%20C",
        "/api/view?filename=a+b%2B%C3%A4.png&subfolder=",
        "/ready",
    ]


async def test_the_wait_for_a_server_tells_what_it_answers_instead(caplog):
    caplog.set_level("INFO", "runtimes")
    statuses = iter([404, 200])

    async def handler(request):
        return web.Response(status=next(statuses))

    async with server(handler) as client:
        await client.wait_until_ready()
        origin = client.origin
    assert caplog.messages == [f"waiting for the model server: The model server at {origin} answers 404 to /ready."]


async def test_an_answer_that_breaks_off_is_the_servers_fault_wherever_it_is_read():
    async with server(half) as client:
        with pytest.raises(ServerError, match=r"at http://127\.0\.0\.1:\d+ does not answer"):
            await client.send("GET", "x")
        async with client.stream("GET", "x") as answer:
            assert await anext(answer.chunks) == b"x" * 500
            with pytest.raises(ServerError, match=r"at http://127\.0\.0\.1:\d+ does not answer"):
                await anext(answer.chunks)


async def test_a_server_that_cannot_be_reached_is_away_and_named_without_its_password():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = ModelServerClient(f"http://user:secret@127.0.0.1:{port}/api", "/")
        with pytest.raises(ServerAway, match=f"http://127.0.0.1:{port} does not answer"):
            await client.send("POST", "x")
        await client.aclose()


async def test_a_server_that_is_silent_is_at_fault_and_not_away():
    async def handler(request):
        await asyncio.sleep(5)

    async with server(handler) as client:
        with pytest.raises(ServerError) as caught:
            await client.send("GET", "x", timeout_s=0.05)
    assert type(caught.value) is ServerError


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


async def test_an_answer_that_is_no_json_or_no_success_is_the_servers_fault():
    async def handler(request):
        return web.Response(status=int(request.match_info["path"].rpartition("/")[2]), body=b"\x00<html>")

    async with server(handler) as client:
        for path, words in (("200", "not JSON"), ("503", "answers 503 to 503"), ("302", "answers 302")):
            with pytest.raises(ServerError, match=words):
                await client.get_json(path)


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
        assert (await client.send("DELETE", "health", timeout_s=5)).status == 200
        over.set()  # the server waits for its handlers before it ends


async def test_an_answer_larger_than_it_may_be_is_not_read_to_its_end():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)

    async with server(handler) as client:
        with pytest.raises(ServerError, match="larger than 5000 bytes"):
            await client.get_json("history", max_bytes=5000)
        async with client.stream("GET", "view", max_bytes=5000) as answer:
            with pytest.raises(ServerError, match="larger than 5000 bytes"):
                [chunk async for chunk in answer.chunks]


async def test_an_answer_that_trickles_in_for_ever_is_given_up(monkeypatch):
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.01)

    monkeypatch.setattr(client_module, "_WHOLE_ANSWER_S", 0.1)
    async with server(handler) as client:
        with pytest.raises(ServerError, match="did not send its whole response within"):
            await client.send("GET", "x", timeout_s=20)


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x" * 3_000_000, "b": ['é\n"' * 1_000_000, {"c": "😀" * 1_500_000}], "d": 1},
        {"a": 10**30, "b": "x" * 2_000_000},
        {},
        [],
        "x" * 2_000_000,
    ],
)
def test_json_is_written_as_it_was_however_long_its_texts(value):
    assert json.loads(write_json(value)) == value


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 5_000_000, (b"{", memoryview(b"x" * 3_000_000)[1:], b"}")])
async def test_a_body_is_sent_whole_and_with_its_length(body):
    async def handler(request):
        got.append(
            (request.headers.get("Content-Length"), request.headers.get("Transfer-Encoding"), await request.read())
        )
        return web.json_response({})

    got = []
    sent = body if isinstance(body, bytes) else b"".join(body)
    async with server(handler) as client:
        await client.send("POST", "x", data=body, headers={"Content-Type": "application/json"})
    assert got == [(str(len(sent)), None, sent)]
