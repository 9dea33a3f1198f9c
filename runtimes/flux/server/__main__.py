"""Runs the model server: ``python -m runtimes.flux.server``. Settings are environment variables; see settings.py."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from runtimes.flux.server.api.app import build_app
from runtimes.flux.server.api.connection import TimedConnection, listen
from runtimes.flux.server.engine.engine import Engine
from runtimes.flux.server.errors import FluxSettingsError
from runtimes.flux.server.log import configure_logging
from runtimes.flux.server.settings import FluxSettings, read_settings

_KEEP_ALIVE_S = 75
_CONNECTIONS_S = 5
_log = logging.getLogger("runtimes.flux.server")


class _HttpServer(uvicorn.Server):
    """Does not handle signals itself: at SIGTERM, jobs end before connections do."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: FluxSettings) -> None:
    """Serve until SIGTERM or SIGINT, then let running jobs finish within the grace period."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    engine = Engine(settings)
    server = _HttpServer(
        uvicorn.Config(
            build_app(engine),
            http=TimedConnection,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_CONNECTIONS_S,
        )
    )
    listener = listen(settings.host, settings.port)
    # If a worker's handle fails, the group ends, and the server with it.
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(one.run(), name=f"worker {one.number}") for one in engine.scheduler.workers]
        answering = group.create_task(server.serve([listener]), name="http")
        _log.info("the server listens", extra={"port": listener.getsockname()[1], "workers": settings.workers})
        await stopped.wait()
        _log.info("the server stops")
        await engine.close()
        server.should_exit = True
        await answering
        for worker in workers:
            worker.cancel()


def main() -> None:
    """Read the environment and serve."""
    try:
        settings = read_settings()
    except FluxSettingsError as exc:
        sys.exit(f"The server cannot start: {exc}")
    configure_logging(settings.loglevel)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
