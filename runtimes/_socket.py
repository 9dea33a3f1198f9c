"""A model server's websocket: one for all jobs, opened again whenever it closes.

It may lose events or die at any time: nothing may rely on it alone.
"""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from yarl import URL

logger = logging.getLogger(__name__)

_RECONNECT_S = 0.5
_CLOSE_S = 1.0
"""A server that does not close its side is not waited for: the socket is opened again, or the agent stops."""
_MAX_FRAME_BYTES = 128 * 1024 * 1024


class EventSocket(ABC):
    """Listens from the first ``wait_until_connected`` on.

    Attributes:
        heard: How many events of this agent's jobs have come so far.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.heard = 0

    @abstractmethod
    async def _read(self, socket: ClientConnection) -> None:
        """Take all that an open socket brings; set ``_connected`` once events of jobs reach it."""

    async def wait_until_connected(self, timeout_s: float) -> bool:
        """Open the socket if need be; whether it is open in time."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="server-events")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), timeout_s)
        return self._connected.is_set()

    async def aclose(self) -> None:
        """Close the socket."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _listen(self) -> None:
        while True:
            try:
                # Pictures are large; and a server busy with the GPU may leave pings unanswered for long.
                # Nor is anything compressed: it comes from the same machine, and pictures get no smaller.
                async with connect(
                    self._url,
                    max_size=_MAX_FRAME_BYTES,
                    ping_interval=None,
                    close_timeout=_CLOSE_S,
                    proxy=None,
                    compression=None,
                ) as socket:
                    await self._read(socket)
            except (OSError, WebSocketException, TimeoutError) as exc:
                logger.debug("websocket closed: %s", type(exc).__name__)
            except Exception:
                # A message that breaks this code breaks one connection: later jobs need the listener.
                logger.exception("the websocket's listener failed; it connects again")
            self._connected.clear()
            await asyncio.sleep(_RECONNECT_S)


def socket_url(url: URL) -> str:
    """The same URL for a websocket."""
    return str(url.with_scheme("wss" if url.scheme == "https" else "ws"))
