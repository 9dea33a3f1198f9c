"""A worker: the process that has one GPU. Its main thread draws, one encodes prompts, a few finish pictures."""

import logging
import os
import signal
import socket
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from importlib import import_module
from queue import SimpleQueue

from runtimes.flux.server.execution import Execution
from runtimes.flux.server.log import configure_logging
from runtimes.flux.server.messages import Assignment, Drop, GivenUp, Link, Measure, Measured, Ready, Run, ToWorker
from runtimes.flux.server.ports import Loader, Pipeline, RefusedError
from runtimes.flux.server.reach import Reach

_FINISHERS = 3
_log = logging.getLogger(__name__)


def main(sock: socket.socket, assignment: Assignment) -> None:
    """Load the model, say so, and draw until the server is gone. Runs in a process of its own."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the server decides when its workers end
    configure_logging(assignment.log_level)
    link = Link(sock)
    desk = _Desk(link, assignment.options.max_batch)
    threading.Thread(target=desk.listen, name="listen", daemon=True).start()
    try:
        pipeline = loader(assignment.pipeline)(assignment.options, str(assignment.models), assignment.device)
        pipeline.warm_up()
        desk.work(pipeline)
    except RefusedError as exc:
        link.send(GivenUp(str(exc), for_good=True))
    except Exception as exc:
        _log.exception("the worker ends")
        link.send(GivenUp(f"{type(exc).__name__}: {exc}", for_good=False))
        raise SystemExit(1) from exc


def loader(path: str) -> Loader:
    """Import a pipeline's loader.

    Args:
        path: ``module:function``.
    """
    module, _, name = path.partition(":")
    found: Loader = getattr(import_module(module), name)
    return found


class _Desk:
    """Takes what the server says in one thread, and draws in another, the process's main one."""

    def __init__(self, link: Link, most: int) -> None:
        self._link = link
        self._most = most
        self._pipeline: Pipeline
        self._reach: Reach
        self._executions: dict[int, Execution] = {}
        self._next: SimpleQueue[int] = SimpleQueue()
        self._encoder: Executor = ThreadPoolExecutor(1, "encode")
        self._finishers: Executor = ThreadPoolExecutor(_FINISHERS, "finish")

    def listen(self) -> None:
        """Heed the server; the process ends with it, in the midst of a step if need be."""
        try:
            while (message := self._link.receive()) is not None:
                self._heed(message)
            os._exit(0)
        except Exception:  # noqa: BLE001 (a worker that does not listen must not live)
            _log.exception("the worker cannot heed the server")
            os._exit(1)

    def work(self, pipeline: Pipeline) -> None:
        """Draw one batch after the other, for ever."""
        self._pipeline = pipeline
        self._reach = Reach(pipeline.card)
        self._link.send(Ready(pipeline.card, pipeline.device()))
        while True:
            number = self._next.get()
            self._executions[number].draw()
            del self._executions[number]

    def _heed(self, message: ToWorker) -> None:
        match message:
            case Run():
                self._take(message)
            case Drop(batch=batch, job=job):
                if (execution := self._executions.get(batch)) is not None:
                    execution.drop(job)
            case Measure(width=width, height=height):
                self._link.send(Measured(width, height, self._pipeline.max_pictures(width, height)))

    def _take(self, run: Run) -> None:
        first = run.pieces[0].order
        most = min(self._most, self._pipeline.max_pictures(first.width, first.height))
        execution = Execution(run, self._pipeline, most, self._link, self._finishers, reach=self._reach)
        self._executions[run.batch] = execution
        execution.encode(self._encoder)
        self._next.put(run.batch)
