"""TCP ports of this machine."""

import socket

GATEWAY_PORT = 8000
AWS_PORT = 5566
"""The default port of ``up``; every other port is a free one."""
LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on a host."""
    return host in {"localhost", "::1"} or host.startswith("127.")


class PortError(Exception):
    """This machine cannot listen on the requested port."""


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody uses now and that this function has not returned before, because its user may listen later."""
    while (port := _bind(LOOPBACK, 0)) in _given:
        pass
    _given.add(port)
    return port


def claim(purpose: str, port: int, host: str = LOOPBACK) -> int:
    """Check that a port is free, and return it; 0 means any free port.

    Raises:
        PortError: It is not free.
    """
    try:
        _bind(host, port)
    except OSError as exc:
        raise PortError(f"{purpose} cannot listen on port {port} of {host}: {exc.strerror}.") from None
    return port or free_port()


def _bind(host: str, port: int) -> int:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as listener:
        # Like the servers themselves: lingering connections of a previous run are no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        return int(listener.getsockname()[1])
