"""The server's handle of a worker: its process, which is restarted when it dies, and its batches."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from runtimes.flux.server.engine.jobs import ServerJob
from runtimes.flux.server.ports import DeviceStatus
from runtimes.flux.server.settings import FluxSettings
from runtimes.flux.server.worker import protocol

_MAX_UNDRAWN = 2
_MAX_FAILED_STARTS = 5
_MAX_DELAY_S = 60.0
_LAST_WORDS_S = 0.5
_READ_BYTES = 4 * 1024 * 1024
_PATIENCE = 3
"""A factor on the longest silence since the start, because a similar step may take longer once. It cannot allow for
the first larger pictures; the limit itself must."""
_ENCODE_MARGIN = 1.5
"""Prompts are sent earlier than their encoding needs, by this factor."""
_log = logging.getLogger(__name__)


class WorkerState(StrEnum):
    """The states of a worker."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    DOWN = "down"


@dataclass(slots=True)
class AssignedBatch:
    """Jobs that a worker draws together; ``share`` is the denoised part, from 0 to 1."""

    number: int
    jobs: dict[str, ServerJob]
    began: float | None = None
    freed: bool = False
    share: float = 0.0

    @property
    def open_jobs(self) -> list[ServerJob]:
        """Its jobs that have not ended."""
        return [job for job in self.jobs.values() if not job.has_ended]


class WorkerHandle:
    """One worker: starts its process, kills it when it hangs, and restarts it when it dies.

    Args:
        settings: The limits after which it counts as hung.
        number: Number of the worker and of its GPU.
        on_message: Called when it is ready, and with each report on a batch.
        on_loss: Called with its batches when it has died, the oldest first.

    Attributes:
        device: Its last report on its GPU.
        loss: Why it was last lost; None once it is ready again.
        given_up: Whether it will not start again.
        batches: Its batches by number, the oldest first.
        encode_s: How long the encoding of its last batch took.
    """

    def __init__(
        self,
        settings: FluxSettings,
        number: int,
        on_message: "Callable[[WorkerHandle, protocol.WorkerReady | protocol.BatchReport], None]",
        on_loss: "Callable[[WorkerHandle, list[AssignedBatch]], None]",
    ) -> None:
        self.number = number
        self.device: DeviceStatus | None = None
        self.state = WorkerState.DOWN
        self.restarts = 0
        self.loss: str | None = None
        self.given_up = False
        self.batches: dict[int, AssignedBatch] = {}
        self.encode_s = 0.0
        self._settings = settings
        self._on_message = on_message
        self._on_loss = on_loss
        self._writer: asyncio.StreamWriter | None = None
        self._silence: asyncio.Timeout | None = None
        self._failure: protocol.WorkerFailed | None = None
        self._heard_at = 0.0
        self._longest_silence_s = 0.0
        self._fruitless_lives = 0
        self._failed_starts = 0

    @property
    def undrawn(self) -> list[AssignedBatch]:
        """Batches that the device has not finished: at most one in work and one that waits."""
        return [batch for batch in self.batches.values() if not batch.freed]

    @property
    def is_available(self) -> bool:
        """Whether it accepts work."""
        return self.state in {WorkerState.READY, WorkerState.BUSY}

    @property
    def takes_another(self) -> bool:
        """Whether it accepts another batch; it takes none next to a job that may have killed a worker."""
        suspect = any(job.attempts for batch in self.batches.values() for job in batch.jobs.values())
        return self.is_available and len(self.undrawn) < _MAX_UNDRAWN and not suspect

    @property
    def needs_next(self) -> bool:
        """Whether its device would have to wait if its next batch came any later."""
        if not (undrawn := self.undrawn):
            return True
        batch = undrawn[0]
        if batch.began is None:
            return False
        if round((1 - batch.share) * max(job.request.steps for job in batch.jobs.values())) <= 1:
            return True
        drawn_s = time.monotonic() - batch.began
        return batch.share > 0 and drawn_s * (1 - batch.share) / batch.share <= self.encode_s * _ENCODE_MARGIN

    def max_pictures(self, size: tuple[int, int]) -> int:
        """How many pictures of this size fit into its memory at once."""
        return self.device.max_pictures(size) if self.device else 1

    def assign(self, number: int, jobs: Iterable[ServerJob]) -> None:
        """Send it a batch."""
        batch = AssignedBatch(number, {job.id: job for job in jobs})
        self.batches[number] = batch
        self._send(protocol.RunBatch(number, tuple(job.request for job in batch.jobs.values())))
        self._set_state(WorkerState.BUSY)

    def drop(self, job: ServerJob) -> None:
        """Stop a job; its batch continues with the other jobs."""
        for batch in list(self.batches.values()):
            if job.id in batch.jobs:
                self._send(protocol.DropJob(batch.number, job.id))
                self.tidy(batch)

    def tidy(self, batch: AssignedBatch) -> None:
        """Forget a batch if it is drawn and all its jobs have ended."""
        if batch.freed and not batch.open_jobs:
            self.batches.pop(batch.number, None)
            if not self.batches and self.state is WorkerState.BUSY:
                self._set_state(WorkerState.READY)

    async def run(self) -> None:
        """Keep the worker running until it fails for good, or until this is cancelled, which kills it."""
        while True:
            self.loss = await self._live()
            self.given_up = self._failed_starts >= _MAX_FAILED_STARTS or bool(self._failure and self._failure.for_good)
            _log.warning("a worker is lost", extra={"worker": self.number, "reason": self.loss})
            batches, self.batches = list(self.batches.values()), {}
            self._on_loss(self, batches)
            if self.given_up:
                return
            await asyncio.sleep(self._delay_s)
            self.restarts += 1

    async def _live(self) -> str:
        """Run the process once, from its start to its death; return why it died."""
        self._failure, self._longest_silence_s = None, 0.0
        self._fruitless_lives += 1
        self._failed_starts += 1
        process, reader, writer = await _started(self.number)
        self._writer = writer
        loop = asyncio.get_running_loop()
        death = asyncio.create_task(process.wait(), name=f"worker {self.number}")
        # A child of the process may keep the socket open; the process's own last messages are here by then.
        death.add_done_callback(lambda _: loop.call_later(_LAST_WORDS_S, writer.transport.abort))
        hung = None
        try:
            async with asyncio.timeout(None) as self._silence:
                self._set_state(WorkerState.STARTING)
                while (message := await protocol.next_message(reader)) is not None:
                    self._hear(message)
        except TimeoutError:
            hung = f"the worker showed no sign of life for {self._limit_s:.0f} s and was ended"
        finally:
            self._silence = self._writer = None
            self._set_state(WorkerState.DOWN)
            _kill(process)
            code = await death
            writer.close()
        end = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return hung or (self._failure.reason if self._failure else f"the worker {end}")

    def _hear(self, message: protocol.FromWorker) -> None:
        if self.state is WorkerState.BUSY:
            self._longest_silence_s = max(self._longest_silence_s, time.monotonic() - self._heard_at)
        match message:
            case protocol.WorkerFailed():
                self._failure = message
                return
            case protocol.WorkerReady():
                self._set_state(WorkerState.READY)
                self.device, self.loss, self._failed_starts = message.device, None, 0
                _log.info("a worker is ready", extra={"worker": self.number, "device": message.device.name})
            case protocol.DeviceFreed():
                self.device, self._fruitless_lives = message.device, 0
        self._on_message(self, message)
        self._expect_message()

    def _send(self, message: protocol.ToWorker) -> None:
        """Send a message; a dead worker gets none."""
        if self._writer is not None:
            self._writer.write(protocol.packed(message))

    def _set_state(self, state: WorkerState) -> None:
        if state is not self.state:  # being sent more work is no sign of life
            self.state = state
            self._expect_message()

    def _expect_message(self) -> None:
        """Restart the timeout for the worker's silence."""
        self._heard_at = time.monotonic()
        if self._silence is not None and not self._silence.expired():
            limit_s = self._limit_s
            self._silence.reschedule(None if limit_s is None else asyncio.get_running_loop().time() + limit_s)

    @property
    def _limit_s(self) -> float | None:
        """How long the worker may be silent; None while it is idle."""
        match self.state:
            case WorkerState.STARTING:
                return self._settings.start_seconds
            case WorkerState.BUSY:
                return max(self._settings.step_limit_s, _PATIENCE * self._longest_silence_s)
            case _:
                return None

    @property
    def _delay_s(self) -> float:
        """Delay before a restart: none if the process drew a batch, otherwise 0.5 s, 1 s, 2 s … up to a minute."""
        return min(_MAX_DELAY_S, 2.0 ** (self._fruitless_lives - 2)) if self._fruitless_lives else 0.0


def _kill(process: Process) -> None:
    """Kill a process without losing its exit code.

    ``process.kill()`` polls the child first, and so reaps one that is already dead. asyncio's own waitpid then finds no
    child and reports exit code 255 instead of the true one (github.com/python/cpython/issues/127049).
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def _started(number: int) -> tuple[Process, asyncio.StreamReader, asyncio.StreamWriter]:
    """Start a worker's process, connected by a socket."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtimes.flux.server.worker", str(theirs.fileno()), str(number)),
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
        )
    return process, *await asyncio.open_connection(sock=ours, limit=_READ_BYTES)
