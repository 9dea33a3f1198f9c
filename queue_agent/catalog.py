"""Publishes the model server's catalog every five minutes, so that the API can check requests against it.

Each time it queries the server and writes one object to S3: about five cents a month for an agent that never stops.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Self

from queue_agent.errors import AgentError
from queue_agent.ports import Supervised

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60.0
_LOOK_S = 2.0


class CatalogPublisher:
    """Publishes the server's catalog while the context lasts: once the server is ready, and every ``interval_s``.

    It is written even if nothing has changed, because the API ignores old ones. No job waits for it or fails because of
    it.

    Args:
        publish: Writes a packed catalog.
        is_ready: Whether the model server takes jobs.
    """

    def __init__(
        self,
        publish: Callable[[bytes], Awaitable[None]],
        *,
        server: Supervised,
        is_ready: Callable[[], bool],
        interval_s: float = 300,
        look_s: float = _LOOK_S,
    ) -> None:
        self._publish = publish
        self._server = server
        self._is_ready = is_ready
        self._interval_s = interval_s
        self._look_s = look_s
        self._is_failing = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._repeat(), name="catalog")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _repeat(self) -> None:
        while True:
            ready = self._is_ready()
            if ready:
                await self._read_and_publish()
            await asyncio.sleep(self._interval_s if ready else self._look_s)

    async def _read_and_publish(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                catalog = await self._server.catalog()
                if catalog is not None:
                    packed = await asyncio.to_thread(catalog.pack)
                    await self._publish(packed)
        except (AgentError, TimeoutError) as exc:
            if not self._is_failing:
                logger.warning("what the model server has was not published: %s", str(exc) or "no answer in time")
            self._is_failing = True
        except Exception:
            # A server may answer anything. Without a catalog, the API just checks less.
            if not self._is_failing:
                logger.exception("what the model server has was not published")
            self._is_failing = True
        else:
            self._is_failing = False
