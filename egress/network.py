"""The network behind links and webhooks: which hosts may be reached, how, and how much they may send."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from contract.field_errors import cut

MAX_HEAD_BYTES = 16 * 1024
"""Limit for everything before a body: status line, headers, and informational responses."""
MAX_HEAD_LINES = 256
_LOOK_UPS = 64
_MAX_TRIED = 4
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/\S+ 1\d\d")
_LOOK_UP_S = 5.0
_MAX_HOST_CHARS = 253
"""Length of the longest DNS name."""

Address = IPv4Address | IPv6Address


class UnreachableHostError(Exception):
    """A host is unknown, or has a forbidden address. The message continues "the link" or "the URL"."""


class NameServerError(Exception):
    """The name server does not answer for a host."""


async def resolve(host: str, port: int, executor: Executor, may_reach: Callable[[Address], bool]) -> list[str]:
    """Resolve a host to the addresses that may be dialled, in the order to try them.

    ``may_reach`` must allow all of them: a name that mixes private and public addresses is a trap.

    Raises:
        UnreachableHostError: The host is unknown, or has a forbidden address.
        NameServerError: The name server does not answer.
    """
    name = cut(host, _MAX_HOST_CHARS)
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    busy = NameServerError(f"The name server did not answer for host {name}.")
    try:
        async with asyncio.timeout(_LOOK_UP_S):
            found = await asyncio.get_running_loop().run_in_executor(executor, look_up)
        addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except TimeoutError:
        raise busy from None
    except (OSError, ValueError, OverflowError) as exc:
        if isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN:
            raise busy from exc
        raise UnreachableHostError(f"names host {name}, which could not be resolved") from exc
    for address in addresses:
        if not may_reach(address):
            raise UnreachableHostError(f"names host {name}, which is not on the public internet")
    return list(dict.fromkeys(map(str, addresses)))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Dials only addresses that were checked, so a second look-up of the name cannot lead elsewhere.

    ``may_reach`` says of an address whether it may be dialled; ``max_bytes`` is how much a host may send after a
    response's head, with the overhead of its chunks.
    """

    def __init__(self, may_reach: Callable[[Address], bool], *, max_bytes: int) -> None:
        self._may_reach = may_reach
        self._max_bytes = max_bytes
        self._dialler = httpcore.AnyIOBackend()
        # A separate pool: name servers that do not answer must not delay anything else.
        self._threads = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="look-up")

    def close(self) -> None:
        """End the threads, without waiting for look-ups that are under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's interface)
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that answers; raises what ``resolve`` raises."""
        addresses = await resolve(host, port, self._threads, self._may_reach)
        failure: Exception | None = None
        for address in addresses[:_MAX_TRIED]:
            try:
                stream = await self._dialler.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _BoundedStream(stream, self._max_bytes)
        raise failure or httpcore.ConnectError("no address")


class _BoundedStream(httpcore.AsyncNetworkStream):
    """A connection for one response, with limits for its head and its total size."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, max_bytes: int) -> None:
        self._stream = stream
        self._head: bytearray | None = bytearray()
        self._left_bytes = max_bytes

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
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
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _BoundedStream(stream, self._left_bytes)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _head_end(head: bytearray) -> int | None:
    """Where the final response's head ends; None if it has not arrived. Informational ones (1xx) may precede it."""
    at = 0
    while blank := _BLANK_LINE.search(head, at):
        if not _INFORMATIONAL.match(head, at):
            return blank.end()
        at = blank.end()
    return None
