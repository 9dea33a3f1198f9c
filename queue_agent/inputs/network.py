"""The network behind links: which hosts may be reached, how they are dialled, and how much they may send."""

import asyncio
import re
import socket
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from contract.field_errors import cut
from contract.inputs import MAX_LINK_BYTES
from queue_agent.errors import AgentError, HostLookupError, InputError

MAX_HEAD_BYTES = 16 * 1024
"""Of all that an origin sends before a body: status line, headers, and informational responses."""
MAX_HEAD_LINES = 256
MAX_WIRE_BYTES = 2 * MAX_LINK_BYTES
"""Of all that an origin sends: chunked encoding may take more than the body itself."""
_LOOK_UPS = 64
_MAX_TRIED = 4
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/\S+ 1\d\d")
_LOOK_UP_S = 5.0
_MAX_HOST_CHARS = 253
"""The longest name in the DNS."""

# Listed here, because what Python's ipaddress calls global changes with its patch level. From IANA's registries of
# special purposes (iana-ipv4-special-registry, iana-ipv6-special-registry).
_CLOSED_V4 = (
    IPv4Network("0.0.0.0/8"),  # this network
    IPv4Network("10.0.0.0/8"),  # private
    IPv4Network("100.64.0.0/10"),  # shared behind a carrier's NAT
    IPv4Network("127.0.0.0/8"),  # loopback
    IPv4Network("169.254.0.0/16"),  # link-local: a cloud's metadata service
    IPv4Network("172.16.0.0/12"),  # private
    IPv4Network("192.0.0.0/24"),  # protocols
    IPv4Network("192.0.2.0/24"),  # documentation
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("192.168.0.0/16"),  # private
    IPv4Network("198.18.0.0/15"),  # benchmarks
    IPv4Network("198.51.100.0/24"),  # documentation
    IPv4Network("203.0.113.0/24"),  # documentation
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved, broadcast
)
_OPEN_V6 = IPv6Network("2000::/3")
"""All unicast addresses that have been assigned; local, mapped and reserved ones are outside."""
_CLOSED_V6 = (
    IPv6Network("2001::/23"),  # protocols, Teredo among them
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)
_HOLDS_V4 = (
    IPv6Network("::ffff:0:0/96"),  # the same address, for programs that know IPv6 alone
    IPv6Network("64:ff9b::/96"),  # NAT64 (RFC 6052): how hosts without IPv6 are reached from networks without IPv4
)
"""The last 32 bits are the IPv4 address that is really reached."""


class LinkUnavailable(Exception):  # noqa: N818 (as all errors of the agent's tree)
    """A link cannot be read now, but perhaps after ``pause_s``; ``error`` is what it is if it stays so."""

    def __init__(self, error: AgentError, pause_s: float = 0) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause_s = pause_s


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is on the public internet; of one that stands for an IPv4 address, whether that one is."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if any(address in network for network in _HOLDS_V4):
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


async def resolve(host: str, port: int, executor: Executor, *, allow_loopback: bool) -> list[str]:
    """Resolve a host to the addresses that may be dialled, in the order in which to try them.

    All its addresses must be public: a name with a private address among public ones is a trap.

    Raises:
        InputError: The host is unknown, or has an address that links may not reach.
        LinkUnavailable: The name server does not answer.
    """
    name = cut(host, _MAX_HOST_CHARS)
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    busy = LinkUnavailable(HostLookupError(f"The name server did not answer for host {name}."))
    try:
        async with asyncio.timeout(_LOOK_UP_S):
            found = await asyncio.get_running_loop().run_in_executor(executor, look_up)
        addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except TimeoutError:
        raise busy from None
    except (OSError, ValueError, OverflowError) as exc:
        if isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN:
            raise busy from exc
        raise InputError(f"names host {name}, which could not be resolved") from exc
    for address in addresses:
        if not (is_public(address) or (allow_loopback and address.is_loopback)):
            raise InputError(f"names host {name}, which is not on the public internet")
    return list(dict.fromkeys(map(str, addresses)))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Dials the addresses that were checked, so that a second look-up of the name cannot lead elsewhere."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._dialler = httpcore.AnyIOBackend()
        # A pool of its own: names whose servers do not answer must not delay anything else.
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
    """A connection for one response, with bounds for its head and for all of it."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._head: bytearray | None = bytearray()
        self._left_bytes = MAX_WIRE_BYTES

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
        return _BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _head_end(head: bytearray) -> int | None:
    """Where the final response's head ends, None before it has arrived; informational ones (1xx) may precede it."""
    at = 0
    while blank := _BLANK_LINE.search(head, at):
        if not _INFORMATIONAL.match(head, at):
            return blank.end()
        at = blank.end()
    return None
