"""TCP ports of this machine."""

import errno
import socket
from dataclasses import dataclass

GATEWAY_PORT = 8000
AWS_PORT = 5566
"""Where ``up`` listens unless told otherwise; every other port is whatever is free."""
LOOPBACK = "127.0.0.1"


class HostError(Exception):
    """This machine cannot listen on the address that was asked for."""


class PortsError(Exception):
    """Ports that were asked for cannot be had."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port to listen on; 0 means any."""

    purpose: str
    port: int
    host: str = LOOPBACK


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now, and that this process was not given before: who gets it may listen later."""
    while True:
        with _bound(LOOPBACK, 0) as listener:
            port = int(listener.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def free_port_after(port: int, host: str = LOOPBACK) -> int:
    """The next port that nobody listens on; any, where there is none."""
    for number in range(port + 1, 2**16) if port else ():
        if number not in _given and _trouble(host, number) is None:
            _given.add(number)
            return number
    return free_port()


def claim(*wanted: Wanted) -> list[int]:
    """Check that ports can be had, and return them.

    Raises:
        HostError: The address is none of this machine.
        PortsError: Some ports cannot be had; it names each with the reason.
    """
    for host in {one.host for one in wanted}:
        try:
            _bound(host, 0).close()
        except OSError:
            raise HostError(f"HOST={host} is no address of this machine; 0.0.0.0 stands for all it has.") from None
    ports = [one.port or free_port() for one in wanted]
    troubles = []
    for number, (one, port) in enumerate(zip(wanted, ports, strict=True)):
        if port in ports[:number]:
            troubles.append(f"Port {port} is asked for twice.")
        elif trouble := _trouble(one.host, port):
            troubles.append(f"{trouble} ({one.purpose}).")
    if troubles:
        raise PortsError(" ".join(troubles))
    return ports


def reachable(host: str) -> str:
    """The address under which this machine itself reaches what listens on a host."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)


def url_host(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def _trouble(host: str, port: int) -> str | None:
    """Why nobody can listen there; None when somebody can."""
    try:
        _bound(host, port).close()
    except OSError as exc:
        if exc.errno == errno.EACCES:
            return f"This user may not listen on port {port}"
        if exc.errno == errno.EADDRINUSE:
            return f"Port {port} is in use"
        return f"Nothing can listen on {url_host(host)}:{port}: {exc.strerror}"
    return None


def _bound(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind)
    # As the servers themselves do: connections that linger from a previous run are no obstacle.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
