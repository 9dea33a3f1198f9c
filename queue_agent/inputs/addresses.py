"""Which network addresses links may reach: public ones."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from queue_agent.errors import InputFault

_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are the IPv4 address that is really reached."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is on the public internet, the addresses hidden in it included.

    Private, loopback, link-local (a cloud's metadata service), shared and reserved ranges are not.
    """
    if isinstance(address, IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if any(found is not None and not is_public(found) for found in inner):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast


async def resolve(host: str, port: int, *, allow_loopback: bool) -> str:
    """Resolve a host to the address to connect to.

    All its addresses must be public: a name with one private address among public ones is a trap.

    Raises:
        InputFault: The host is unknown, or has an address that links may not reach.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise InputFault(f"leads to host {host}, which is unknown") from exc
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if not (is_public(address) or (allow_loopback and address.is_loopback)):
            raise InputFault(f"leads to host {host}, which is not on the public internet")
    return str(addresses[0])
