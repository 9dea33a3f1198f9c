"""The listening socket: it opens, refuses for a while when told to, and closes."""

import asyncio
from typing import Any

from aiohttp import web

from runtimes.standin.app import TYPES, build_app
from runtimes.standin.stage import Stage

_PATIENCE_S = 24 * 3600.0


class Server:
    """One stand-in that listens; port 0 takes a free one, and `port` tells which.

    `patience_s` is how long `stop` waits for requests under way; None takes what the real server does.
    """

    def __init__(
        self, type_name: str, stage: Stage, *, host: str = "127.0.0.1", port: int = 0, patience_s: float | None = None
    ) -> None:
        self.port = port
        self._host = host
        self._stage = stage
        if patience_s is None:
            patience_s = _PATIENCE_S if TYPES[type_name].finishes_jobs else 0.0
        self._runner = web.AppRunner(build_app(type_name, stage), shutdown_timeout=patience_s, access_log=None)
        self._site: web.TCPSite | None = None
        self._refusing: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        """Listen, after the seconds in which connections are to be refused."""
        await self._runner.setup()
        self._stage.faults.watch(self._heed)
        if self._stage.faults.now.refuse_s:
            self._heed({"refuse_s": self._stage.faults.now.refuse_s})
        else:
            await self._open()

    async def stop(self) -> None:
        """Stop listening, let the running jobs end where the real server does, and clean up; hung ones fail."""
        self._stage.faults.stop()
        if self._refusing is not None:
            self._refusing.cancel()
        await self._runner.cleanup()

    async def _open(self) -> None:
        self._site = web.TCPSite(self._runner, self._host, self.port, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    def _heed(self, change: dict[str, Any]) -> None:
        if "refuse_s" in change:
            if self._refusing is not None:
                self._refusing.cancel()
            self._refusing = asyncio.create_task(self._refuse(), name="standin refuses connections")

    async def _refuse(self) -> None:
        if self._site is not None:
            await self._site.stop()
            self._site = None
        await asyncio.sleep(self._stage.faults.now.refuse_s)
        await self._open()
