"""One life of a worker's process: it is started, spoken with, and its death is noticed."""

import asyncio
import multiprocessing
import os
import socket
import sys
from multiprocessing.process import BaseProcess

from runtimes.flux.server.messages import Assignment, FromWorker, ToWorker, next_message, packed
from runtimes.flux.server.worker import main

_LAST_WORDS_S = 0.5
_READ_BYTES = 4 * 1024 * 1024


class WorkerProcess:
    """A running worker. Made by ``start``."""

    def __init__(self, process: BaseProcess, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._died = asyncio.Event()
        self._sentinel = _sentinel(process)
        asyncio.get_running_loop().add_reader(self._sentinel, self._note_death)

    @classmethod
    async def start(cls, assignment: Assignment) -> "WorkerProcess":
        """Start the process; the model is loaded in it."""
        ours, theirs = socket.socketpair()
        process = multiprocessing.get_context("spawn").Process(
            target=main, args=(theirs, assignment), name=f"worker {assignment.device}"
        )
        with theirs:
            process.start()
        reader, writer = await asyncio.open_connection(sock=ours, limit=_READ_BYTES)
        return cls(process, reader, writer)

    def send(self, message: ToWorker) -> None:
        """Send; a message to a dead worker is lost with it."""
        if not self._writer.is_closing():
            self._writer.write(packed(message))

    async def next_message(self) -> FromWorker | None:
        """Wait for the next message; None once the process is dead and has no more to say."""
        return await next_message(self._reader)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def buried(self) -> str:
        """Wait for its death, and say what it died of."""
        await self._died.wait()
        self._process.join()
        self._writer.close()
        code = self._process.exitcode
        return f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"

    def _note_death(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sentinel)
        os.close(self._sentinel)
        # A process that it started may hold its end of the socket; what it said itself is here by then.
        loop.call_later(_LAST_WORDS_S, self._reader.feed_eof)
        self._died.set()


def _sentinel(process: BaseProcess) -> int:
    """A file descriptor that is readable once the process is dead; on Linux whatever the processes it started hold."""
    if sys.platform == "linux" and process.pid is not None:
        return os.pidfd_open(process.pid)
    return os.dup(process.sentinel)
