"""TCP ports of this machine."""

import socket

GATEWAY_PORT = 8000
AWS_PORT = 5566
"""Where ``up`` listens by default; every other port is whatever is free."""
LOOPBACK = "127.0.0.1"


class PortError(Exception):
    """This machine cannot listen on a port that was asked for."""


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now, and that this process was not given before: who gets it may listen later."""
    while (port := _bind(LOOPBACK, 0)) in _given:
        pass
    _given.add(port)
    return port


def claim(purpose: str, port: int, host: str = LOOPBACK) -> int:
    """Check that a port can be had, and return it; 0 means any that is free.

    Raises:
        PortError: It cannot.
    """
    try:
        _bind(host, port)
    except OSError as exc:
        raise PortError(f"{purpose} cannot listen on port {port} of {host}: {exc.strerror}.") from None
    return port or free_port()


def _bind(host: str, port: int) -> int:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as listener:
        # As the servers themselves do: connections that linger from a previous run are no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        return int(listener.getsockname()[1])
