import asyncio
import time

import pytest
from aiohttp import ClientSession, ServerDisconnectedError, web

from bench.agent.wire import ROUND_TRIPS_S, Wire, read_head

AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=local/20260102/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture
async def upstream():
    """A server that gives back what it gets; /slow answers late."""

    async def echo(request):
        return web.Response(body=await request.read())

    async def slow(request):
        await asyncio.sleep(0.3)
        return web.Response(text="at last")

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/slow", slow)
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("service", ["s3", "sqs"])
async def test_a_call_costs_its_services_round_trip_and_every_byte_arrives(upstream, service):
    body = bytes(range(256)) * 4096
    headers = {"Authorization": AUTHORIZATION.format(service), "X-Amz-Target": "AmazonSQS.SendMessage"}
    async with Wire(upstream) as wire, ClientSession() as http:
        for _ in range(2):  # the second call goes over the same connection
            begin = time.monotonic()
            async with http.post(f"http://127.0.0.1:{wire.port}/x", data=body, headers=headers) as response:
                assert await response.read() == body
            assert time.monotonic() - begin >= ROUND_TRIPS_S[service]
    assert [call.name for call in wire.calls] == [f"{service} SendMessage"] * 2
    assert all(call.answered - call.asked >= ROUND_TRIPS_S[service] for call in wire.calls)


async def test_calls_beside_each_other_do_not_wait_for_one_another(upstream):
    headers = {"Authorization": AUTHORIZATION.format("s3")}
    async with Wire(upstream) as wire, ClientSession() as http:

        async def call():
            async with http.put(f"http://127.0.0.1:{wire.port}/x", data=b"x", headers=headers) as response:
                await response.read()

        await asyncio.gather(*(call() for _ in range(10)))
    assert max(call.asked for call in wire.calls) < min(call.answered for call in wire.calls)


async def test_an_answer_that_takes_long_is_waited_for(upstream):
    async with Wire(upstream) as wire, ClientSession() as http:
        response = await http.get(f"http://127.0.0.1:{wire.port}/slow?n=1")
        assert await response.text() == "at last"
    assert [call.name for call in wire.calls] == ["unsigned GET"]
    assert wire.calls[0].answered - wire.calls[0].asked >= 0.3


async def test_leaving_it_hangs_up_on_a_call_under_way(upstream):
    async with ClientSession() as http:
        async with Wire(upstream) as wire:
            call = asyncio.create_task(http.post(f"http://127.0.0.1:{wire.port}/slow"))
            await asyncio.sleep(0.1)
            assert wire.calls
        with pytest.raises(ServerDisconnectedError):
            await call


async def test_where_the_server_hangs_up_after_each_answer_the_client_keeps_its_connection():
    connections = 0

    async def answer_once(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readuntil(b"ok") == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        writer.close()
    assert connections == 3


async def test_where_only_the_hang_up_ends_an_answer_the_client_hears_it():
    async def answer_once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall")
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"\r\n\r\nall")
        writer.close()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GET /b/k?X-Amz-Credential=a%2F20260102%2Fus-east-1%2Fs3%2Faws4_request HTTP/1.1\r\n\r\n", "s3 GET"),
        (b"POST / HTTP/1.1\r\nauthorization: c=a/20260102/eu-west-1/sns/aws4_request, x\r\n\r\n", "sns POST"),
        (b"GET /moto-api/ HTTP/1.1\r\nHost: x\r\n\r\n", "unsigned GET"),
    ],
)
def test_the_service_is_read_from_the_signatures_scope(head, name):
    assert read_head(head)[0] == name
