"""``python -m runtimes.flux.server.worker FD``: load the model, and draw until the server is gone.

The main thread draws, one listens to the server, one encodes prompts, a few finish pictures.
"""

import logging
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from queue import SimpleQueue

from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.log import configure_logging
from runtimes.flux.server.ports import ImagePipeline, PipelineLoader
from runtimes.flux.server.worker.batch_run import BatchRun
from runtimes.flux.server.worker.reach import Reach
from runtimes.flux.server.workers import protocol

_FINISHERS = 3
_log = logging.getLogger("runtimes.flux.server.worker")


class BatchLoop:
    """Takes batches from the server in one thread, and draws them in another, the process's main one."""

    def __init__(self, channel: protocol.WorkerChannel, max_batch: int) -> None:
        self._channel = channel
        self._max_batch = max_batch
        self._pipeline: ImagePipeline
        self._reach: Reach
        self._runs: dict[int, BatchRun] = {}
        self._next: SimpleQueue[int] = SimpleQueue()
        self._encoder = ThreadPoolExecutor(1, "encode")
        self._finishers = ThreadPoolExecutor(_FINISHERS, "finish")

    def listen(self) -> None:
        """Take the server's messages; the process ends with the server, in the middle of a step if need be."""
        try:
            while True:
                match self._channel.receive():
                    case protocol.RunBatch() as message:
                        self._take(message)
                    case protocol.DropJob(batch=batch, job_id=job_id) if batch in self._runs:
                        self._runs[batch].drop(job_id)
        except EOFError:
            os._exit(0)
        except Exception:  # noqa: BLE001 (a worker that does not listen must not live)
            _log.exception("the worker cannot listen to the server")
            os._exit(1)

    def draw(self, pipeline: ImagePipeline) -> None:
        """Report that the model is ready, and draw one batch after the other, for ever."""
        self._pipeline, self._reach = pipeline, Reach(pipeline.card)
        self._channel.send(protocol.WorkerReady(pipeline.card, pipeline.device()))
        while True:
            number = self._next.get()
            self._runs[number].draw()
            del self._runs[number]

    def _take(self, message: protocol.RunBatch) -> None:
        run = BatchRun(
            message, self._pipeline, self._channel, self._finishers, max_batch=self._max_batch, reach=self._reach
        )
        self._runs[message.batch] = run
        run.encode(self._encoder)
        self._next.put(message.batch)


def run_worker(channel: protocol.WorkerChannel, setup: protocol.WorkerSetup) -> None:
    """Load the model, and draw. The server is listened to from the start, so that a load ends with it."""
    settings = setup.settings
    configure_logging(settings.loglevel)
    loop = BatchLoop(channel, settings.model_options.max_batch)
    threading.Thread(target=loop.listen, name="listen", daemon=True).start()
    try:
        pipeline = loader_at(settings.pipeline)(settings.model_options, str(settings.models_folder), setup.device)
        pipeline.warm_up()
        loop.draw(pipeline)
    except PipelineRefusedError as exc:
        channel.send(protocol.WorkerFailed(str(exc), for_good=True))
    except Exception as exc:
        _log.exception("the worker ends")
        channel.send(protocol.WorkerFailed(f"{type(exc).__name__}: {exc}", for_good=False))
        raise SystemExit(1) from exc


def loader_at(path: str) -> PipelineLoader:
    """Import a pipeline's loader by ``module:function``."""
    module, _, name = path.partition(":")
    loader: PipelineLoader = getattr(import_module(module), name)
    return loader


def main() -> None:
    """Run the worker whose end of the socket the command line names."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the server decides when its workers end
    channel = protocol.WorkerChannel(socket.socket(fileno=int(sys.argv[1])))
    setup = channel.receive()
    if isinstance(setup, protocol.WorkerSetup):
        run_worker(channel, setup)


if __name__ == "__main__":
    main()
