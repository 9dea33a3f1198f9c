"""The socket that the server listens on."""

import socket

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; from here on callers are not refused.

    Args:
        host: An IPv4 or IPv6 address.
        port: 0 takes a free one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets that name their protocol (asyncio/base_events.py,
    # _set_nodelay), which socket.create_server's do not: answers would be held back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener
