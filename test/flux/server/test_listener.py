"""The socket that the server listens on."""

import asyncio
import socket

import pytest

from runtimes.flux.server.listener import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_answers_are_not_held_back_by_nagles_algorithm(host):
    delays = asyncio.Queue()

    async def answer(_, writer):
        delays.put_nowait(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = listen(host, 0)
    async with await asyncio.start_server(answer, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        assert await delays.get() == 1
        writer.close()
