"""Run the model server: python -m runtimes.flux.server (its settings are in the environment, see settings.py)."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from runtimes.flux.server.app import build_app
from runtimes.flux.server.connection import Connection
from runtimes.flux.server.dispatcher import Dispatcher
from runtimes.flux.server.job_book import JobBook
from runtimes.flux.server.listener import listen
from runtimes.flux.server.log import configure_logging
from runtimes.flux.server.messages import Assignment
from runtimes.flux.server.metrics import Metrics
from runtimes.flux.server.service import Service
from runtimes.flux.server.settings import Settings, SettingsError, read_settings
from runtimes.flux.server.supervisor import Limits

_KEEP_ALIVE_S = 75
_CONNECTIONS_S = 5
_log = logging.getLogger("runtimes.flux.server")


class _HttpServer(uvicorn.Server):
    """Leaves the signals to us: at SIGTERM jobs end before connections do."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT; running jobs end first, within the grace."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    book = JobBook()
    metrics = Metrics(lambda: len(book.waiting))
    dispatcher = Dispatcher(book, settings.options, metrics)
    service = Service(settings, book, dispatcher)
    server = _http_server(service, metrics)
    listener = listen(settings.host, settings.port)
    # A supervisor that fails ends the group, and with it the server.
    async with asyncio.TaskGroup() as group:
        supervisors = dispatcher.employ(_assignments(settings), _limits(settings))
        lives = [group.create_task(one.run(), name=f"supervisor {one.number}") for one in supervisors]
        answering = group.create_task(server.serve([listener]), name="http")
        _log.info("the server listens", extra={"port": listener.getsockname()[1], "workers": settings.workers})
        await stopped.wait()
        _log.info("the server stops")
        await service.close()
        server.should_exit = True
        await answering
        for life in lives:
            life.cancel()


def _http_server(service: Service, metrics: Metrics) -> _HttpServer:
    return _HttpServer(
        uvicorn.Config(
            build_app(service, metrics),
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_CONNECTIONS_S,
        )
    )


def _limits(settings: Settings) -> Limits:
    return Limits(start_s=settings.start_seconds, step_s=settings.step_seconds)


def _assignments(settings: Settings) -> list[Assignment]:
    """One for each worker."""
    return [
        Assignment(
            pipeline=settings.pipeline,
            options=settings.options,
            models=settings.models,
            device=device,
            log_level=settings.log_level,
        )
        for device in range(settings.workers)
    ]


def main() -> None:
    """Read the environment and serve."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as exc:
        sys.exit(f"The server cannot start: {exc}")
    configure_logging(settings.log_level)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
