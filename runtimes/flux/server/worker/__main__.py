"""``python -m runtimes.flux.server.worker FD DEVICE``: load the model, and draw until the server is gone.

The main thread draws; others listen to the server, encode prompts and finish pictures.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from tempfile import gettempdir

from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.log import configure_logging
from runtimes.flux.server.ports import ImagePipeline, PipelineLoader
from runtimes.flux.server.settings import FluxSettings
from runtimes.flux.server.worker import protocol
from runtimes.flux.server.worker.batch_run import BatchRun, LargestPicture
from runtimes.flux.server.worker.near import NearModel

_FINISHERS = 3
_log = logging.getLogger("runtimes.flux.server.worker")


class BatchLoop:
    """Receives batches from the server in one thread, and draws them in the main thread."""

    def __init__(self, channel: protocol.WorkerChannel, max_batch: int) -> None:
        self._channel = channel
        self._max_batch = max_batch
        self._make_run: Callable[[protocol.RunBatch], BatchRun]
        self._runs: dict[int, BatchRun] = {}
        self._next: SimpleQueue[int] = SimpleQueue()

    def listen(self) -> None:
        """Handle the server's messages; the process ends with the server, even in the middle of a step."""
        try:
            while (message := self._channel.receive()) is not None:
                match message:
                    case protocol.RunBatch():
                        self._runs[message.batch] = self._make_run(message)
                        self._next.put(message.batch)
                    case protocol.DropJob(batch=batch, job_id=job_id) if batch in self._runs:
                        self._runs[batch].drop(job_id)
            os._exit(0)
        except Exception:  # noqa: BLE001 (a worker that cannot listen must not live)
            _log.exception("the worker cannot listen to the server")
            os._exit(1)

    def draw(self, pipeline: ImagePipeline) -> None:
        """Report that the model is ready, and draw batch after batch forever."""
        self._make_run = partial(
            BatchRun,
            pipeline=pipeline,
            channel=self._channel,
            encoder=ThreadPoolExecutor(1, "encode"),
            finishers=ThreadPoolExecutor(_FINISHERS, "finish"),
            max_batch=self._max_batch,
            largest=LargestPicture(pipeline.card),
        )
        self._channel.send(protocol.WorkerReady(pipeline.card, pipeline.device()))
        while True:
            number = self._next.get()
            self._runs[number].draw()
            del self._runs[number]


def loaded(settings: FluxSettings, device: int) -> ImagePipeline:
    """Load the model; where there is one worker alone, its first parts are read while the libraries are imported."""
    module, _, name = settings.pipeline.partition(":")
    with ExitStack() as stack:
        near = None
        if settings.workers == 1:
            near = stack.enter_context(NearModel(settings.model_options, settings.models_folder, Path(gettempdir())))
        load: PipelineLoader = getattr(import_module(module), name)
        return load(settings.model_options, str(near.folder() if near else settings.models_folder), device)


def main() -> None:
    """Run the worker with the socket and the GPU that the command line names.

    It listens to the server from the start, so that the server's end also ends the loading.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the server decides when its workers end
    settings = FluxSettings()
    configure_logging(settings.loglevel)
    descriptor, device = map(int, sys.argv[1:])
    channel = protocol.WorkerChannel(socket.socket(fileno=descriptor))
    loop = BatchLoop(channel, settings.model_options.max_batch)
    threading.Thread(target=loop.listen, name="listen", daemon=True).start()
    try:
        pipeline = loaded(settings, device)
        pipeline.warm_up()
        loop.draw(pipeline)
    except PipelineRefusedError as exc:
        channel.send(protocol.WorkerFailed(str(exc), for_good=True))
    except Exception as exc:
        _log.exception("the worker ends")
        channel.send(protocol.WorkerFailed(f"{type(exc).__name__}: {exc}", for_good=False))
        raise SystemExit(1) from exc


if __name__ == "__main__":
    main()
