"""Which addresses are on the public internet, so that a link or a webhook may lead there."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

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


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is on the public internet; of one that stands for an IPv4 address, whether that one is."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if any(address in network for network in _HOLDS_V4):
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)
