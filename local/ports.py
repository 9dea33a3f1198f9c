"""TCP ports on the loopback address."""

import socket

GATEWAY_PORT = 8000
AWS_PORT = 5566
"""Where ``up`` listens unless told otherwise; every other port is whatever is free."""


class PortBusyError(Exception):
    """Something else listens on a port that was asked for."""

    def __init__(self, port: int, purpose: str, advice: str) -> None:
        super().__init__(f"Port {port} ({purpose}) is in use. {advice}")


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now, and that this process was not given before: who gets it may listen later."""
    while True:
        with _bound(0) as listener:
            port = int(listener.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def claim(port: int, *, purpose: str, advice: str) -> int:
    """Check that a port can be had; 0 means any.

    Raises:
        PortBusyError: It is taken, or this user may not have it.
    """
    if port == 0:
        return free_port()
    try:
        _bound(port).close()
    except OSError:
        raise PortBusyError(port, purpose, advice) from None
    return port


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    # As the servers themselves do: connections that linger from a previous run are no obstacle.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
