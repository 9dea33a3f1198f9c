"""Connections to the hosts of links: resolved, checked and dialled by address; what arrives on them is bounded."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from contract.inputs import MAX_LINK_BYTES
from queue_agent.inputs.addresses import resolve

MAX_HEAD_BYTES = 16 * 1024
"""Of all that an origin sends before a body: status line, headers, and answers that announce others."""
MAX_HEAD_LINES = 256
MAX_WIRE_BYTES = 2 * MAX_LINK_BYTES
"""Of all that an origin sends: a body may be wrapped in chunks that are larger than what is in them."""
_LOOK_UPS = 64
_MAX_TRIED = 4
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_ANNOUNCEMENT = re.compile(rb"HTTP/\S+ 1\d\d")


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Dials the very addresses that were checked, so that a name cannot lead elsewhere when it is asked again.

    Args:
        allow_loopback: Whether links may lead to this machine.
    """

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._dialler = httpcore.AnyIOBackend()
        # Threads of their own: names whose servers do not answer must hold up nothing else.
        self._threads = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="look-up")

    def close(self) -> None:
        """Give the threads back; look-ups that are under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's interface)
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that answers.

        Raises:
            InputError: The host is unknown, or links may not lead to it.
            PassingTrouble: The name server does not answer.
        """
        addresses = await resolve(host, port, self._threads, allow_loopback=self._allow_loopback)
        failure: Exception | None = None
        for address in addresses[:_MAX_TRIED]:
            try:
                stream = await self._dialler.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _BoundedStream(stream)
        raise failure or httpcore.ConnectError("no address")


class _BoundedStream(httpcore.AsyncNetworkStream):
    """A connection for one answer, whose head and whole are bounded."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._head: bytearray | None = bytearray()
        self._left_bytes = MAX_WIRE_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Read some bytes.

        Raises:
            httpcore.RemoteProtocolError: The head or the whole has become too large.
        """
        room = self._left_bytes if self._head is None else MAX_HEAD_BYTES - len(self._head)
        if room <= 0:
            raise httpcore.RemoteProtocolError("too large")
        data = await self._stream.read(min(max_bytes, room), timeout)
        self._left_bytes -= len(data)
        if self._head is not None:
            self._head += data
            end = _head_end(self._head)
            if self._head.count(b"\n", 0, end) > MAX_HEAD_LINES:
                raise httpcore.RemoteProtocolError("too many headers")
            if end is not None:
                self._head = None
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write all of some bytes."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Go on encrypted; the certificate must be the named host's."""
        return _BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What the library asks of a connection."""
        return self._stream.get_extra_info(info)


def _head_end(head: bytearray) -> int | None:
    """Where the head of the final answer ends, None before it has arrived; announcements (1xx) may come before it."""
    at = 0
    while blank := _BLANK_LINE.search(head, at):
        if not _ANNOUNCEMENT.match(head, at):
            return blank.end()
        at = blank.end()
    return None
