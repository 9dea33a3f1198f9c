"""Which network addresses links may reach: public ones."""

import asyncio
import socket
from concurrent.futures import Executor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from queue_agent.errors import AgentError, HostLookupError, InputError

_LOOK_UP_S = 5.0
_MAX_HOST_CHARS = 253
"""What a name in the DNS may have."""

# Named here, for what Python's ipaddress calls global changes with its patch level. From IANA's registries of special
# purposes (iana-ipv4-special-registry, iana-ipv6-special-registry).
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
"""All unicast addresses that have been given out; local, mapped and reserved ones lie outside."""
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


class PassingTrouble(Exception):  # noqa: N818 (what it becomes is decided where it is caught)
    """A link could not be had, but may be a moment later.

    Attributes:
        fault: What it is if it stays so.
        pause_s: How long the other side asks to be left alone.
    """

    def __init__(self, fault: AgentError, pause_s: float = 0) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.pause_s = pause_s


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is on the public internet; where it stands for an IPv4 address, whether that one is."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if any(address in network for network in _HOLDS_V4):
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


async def resolve(host: str, port: int, executor: Executor, *, allow_loopback: bool) -> list[str]:
    """Resolve a host to the addresses that may be connected to, in the order in which they should be tried.

    All its addresses must be public: a name with one private address among public ones is a trap.

    Args:
        host: The name, in ASCII.
        port: The port.
        executor: Threads for look-ups; a name whose server does not answer occupies one for long.
        allow_loopback: Whether this machine's own addresses count as public.

    Raises:
        InputError: The host is unknown, or has an address that links may not reach.
        PassingTrouble: The name server does not answer.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    busy = PassingTrouble(HostLookupError(f"The name server did not answer for host {_short(host)}."))
    try:
        async with asyncio.timeout(_LOOK_UP_S):
            found = await asyncio.get_running_loop().run_in_executor(executor, look_up)
        addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except TimeoutError:
        raise busy from None
    except (OSError, ValueError, OverflowError) as exc:
        if isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN:
            raise busy from exc
        raise InputError(f"names host {_short(host)}, which could not be resolved") from exc
    for address in addresses:
        if not (is_public(address) or (allow_loopback and address.is_loopback)):
            raise InputError(f"names host {_short(host)}, which is not on the public internet")
    return list(dict.fromkeys(map(str, addresses)))


def _short(host: str) -> str:
    return host if len(host) <= _MAX_HOST_CHARS else host[:_MAX_HOST_CHARS] + "…"
