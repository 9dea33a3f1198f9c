"""The server's listening socket, and connections that close when a request does not arrive in time."""

import asyncio
import json
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_SILENCE_SECONDS = 30.0
"""Between two pieces of a request, and before the first."""
MAX_REQUEST_SECONDS = 300.0
"""From the first piece of a request to the last."""
_BACKLOG = 2048
_ANSWER = json.dumps({"detail": "the request did not come to its end in time"}).encode()
_TOO_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_ANSWER), _ANSWER)
)


class TimedConnection(H11Protocol):
    """uvicorn's protocol with timeouts; the original waits for the rest of a request forever."""

    _timer: asyncio.TimerHandle | None = None
    _since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # noqa: D102
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:  # noqa: D102
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        """If part of a request is missing, schedule the closing of the connection."""
        self._stop()
        if self.transport.is_closing() or not self._is_awaited():
            self._since = None
            return
        now = self.loop.time()
        if self._since is None:
            self._since = now
        due = min(now + MAX_SILENCE_SECONDS, self._since + MAX_REQUEST_SECONDS)
        self._timer = self.loop.call_at(due, self._close)

    def _is_awaited(self) -> bool:
        """Whether part of a request is missing. Between two requests, uvicorn itself closes the connection."""
        if self.conn.their_state is h11.IDLE:
            return self.cycle is None or bool(self.conn.trailing_data[0])
        return self.conn.their_state is h11.SEND_BODY

    def _close(self) -> None:
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_TOO_LATE)
        self.transport.close()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def listen(host: str, port: int) -> socket.socket:
    """Accept connections on an IPv4 or IPv6 address; port 0 picks a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm only for sockets that name their protocol (asyncio/base_events.py,
    # _set_nodelay). Those of socket.create_server do not, and would delay responses by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener
