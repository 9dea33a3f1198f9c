"""What runs beside a stand-in's routes: the hub of its sockets, and its work."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from aiohttp import web


class RunningHub(Protocol):
    """The sockets of a stand-in."""

    async def run(self) -> None:
        """Send what there is to send, until cancelled."""

    def cut_all(self) -> None:
        """Close all sockets."""


def run_beside(
    app: web.Application,
    hub: RunningHub,
    work: Callable[[], Coroutine[Any, Any, None]],
    *,
    discard: Callable[[], None] = lambda: None,
) -> None:
    """Run the hub and the work as long as the application; ``discard`` removes what they leave."""

    async def live(_: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(hub.run()), asyncio.create_task(work())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        discard()

    async def cut(_: web.Application) -> None:
        hub.cut_all()

    app.cleanup_ctx.append(live)
    app.on_shutdown.append(cut)
