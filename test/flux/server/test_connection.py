"""An incomplete request is cut off; a complete one can wait for its answer."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn

from runtimes.flux.server.api import connection
from runtimes.flux.server.api.connection import TimedConnection, listen

SHORT_S = 0.1
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WITH_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


async def app(scope, receive, send):
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        return
    await asyncio.sleep(5 * SHORT_S)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def served():
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, http=TimedConnection, log_config=None, lifespan="off"))
    answering = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await answering


async def answer_to(*pieces):
    """Return all that the server sends until it closes the connection."""
    answer = bytearray()

    async def read(reader):
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(4096):
                answer.extend(chunk)

    async with served() as port, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        reading = asyncio.create_task(read(reader))
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(SHORT_S / 4)
        await reading
        writer.close()
    return bytes(answer)


@pytest.mark.parametrize(
    "pieces",
    [(b"",), (b"GET / HT",), (WHOLE[:-2],), (WITH_BODY,), (WITH_BODY, b"part"), (b"POST / HTTP/1.1\r\nTransfer-",)],
)
async def test_a_request_that_stops_is_cut_off(monkeypatch, pieces):
    monkeypatch.setattr(connection, "MAX_SILENCE_SECONDS", SHORT_S)
    answer = await answer_to(*pieces)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the request did not come to its end in time" in answer


async def test_an_endless_request_is_cut_off(monkeypatch):
    monkeypatch.setattr(connection, "MAX_REQUEST_SECONDS", SHORT_S)
    assert (await answer_to(b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 8)).startswith(b"HTTP/1.1 408 ")


async def test_a_complete_request_can_wait_for_its_answer_but_half_of_the_next_one_cannot(monkeypatch):
    monkeypatch.setattr(connection, "MAX_SILENCE_SECONDS", SHORT_S)
    answer = await answer_to(WHOLE + WHOLE[:-2])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 408 ") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_nagles_algorithm_does_not_delay_answers(host):
    delays = asyncio.Queue()

    async def answer(_, writer):
        delays.put_nowait(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = listen(host, 0)
    async with await asyncio.start_server(answer, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        assert await delays.get() == 1
        writer.close()
