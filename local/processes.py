"""The parts as child processes: restarted as a kubelet would, and ended with everything they started."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

from local.layout import make_private

ROOT = Path(__file__).resolve().parent.parent
"""The checkout; every part runs here."""

_RESTART_S = 0.5
_MAX_RESTART_S = 30.0
_STEADY_S = 60.0
"""A part that ran this long has recovered, and its next restart is quick again."""
_FAILURES_TO_REPORT = 3
_PROBE_EVERY_S = 0.05
_CHUNK_BYTES = 64 * 1024
MAX_LOG_BYTES = 16 * 1024**2
"""Of a log, of which there is an older one of the same size."""
_LAST_LINES = 8
_PR_SET_PDEATHSIG = 1

# Loaded here, not in the forked child, where only async-signal-safe work is sure to end.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

Probe = Callable[[], Awaitable[bool]]
LineSink = Callable[[str, str], None]
"""Gets a part's name and one line of its output."""


class GivenUpError(Exception):
    """A probe sees that the part runs but will never be ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process to run.

    Attributes:
        environment: The whole environment.
        probe: Whether it is ready; None if nobody waits for it.
        ready_s: How long it may take to be ready.
        holds: What is lost when it ends; "" for nothing.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    probe: Probe | None = None
    ready_s: float = 60.0
    holds: str = ""


class PartFailedError(Exception):
    """A part does not start, or keeps dying; the message ends with its last lines."""


class PartLog:
    """A part's log, emptied first. What is old is moved aside, then deleted; a full disk costs lines, but no part."""

    def __init__(self, path: Path) -> None:
        self.path = path
        make_private(path.parent)
        path.write_bytes(b"")
        self._file = RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=1, encoding="utf-8")
        setattr(self._file, "handleError", lambda record: None)  # noqa: ARG005, B010 - an attribute by its documentation

    def write(self, line: str) -> None:
        """Write a line."""
        self._file.handle(logging.makeLogRecord({"msg": line}))


class SupervisedProcess:
    """One part: starts at once, and restarts with growing pauses whenever it ends."""

    def __init__(self, part: Part, log: Path, console: LineSink | None = None) -> None:
        self.part = part
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._log = PartLog(log)
        self._console = console
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._failing = asyncio.Event()
        self._failures = 0
        self._task = asyncio.create_task(self._keep_running(), name=part.name)
        self._task.add_done_callback(lambda _: self._failing.set())

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def failed(self) -> PartFailedError:
        """Wait until the process has ended several times in a row."""
        await self._failing.wait()
        return self._failure(f"ended {self._failures} times in a row")

    async def wait_ready(self) -> None:
        """Wait for the probe.

        Raises:
            PartFailedError: It is not ready in time, gives up, or keeps ending.
        """
        deadline = time.monotonic() + self.part.ready_s
        try:
            while self.part.probe is not None and not await self.part.probe():
                if self._failing.is_set():
                    raise await self.failed()
                if time.monotonic() > deadline:
                    raise self._failure(f"was not ready within {self.part.ready_s:g} seconds")
                await asyncio.sleep(_PROBE_EVERY_S)
        except GivenUpError:
            raise self._failure("has given up") from None

    async def stop(self, grace_s: float) -> None:
        """End the process: SIGTERM to its group, SIGKILL after the grace period, or at once when cancelled."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait([self._task], timeout=grace_s)
        finally:
            self._signal(signal.SIGKILL)
        await self._task

    def _failure(self, problem: str) -> PartFailedError:
        end = "".join(f"\n  {line}" for line in self.last_lines)
        return PartFailedError(f"{self.part.name} {problem}. Its log is {self._log.path}; it ends with:{end}")

    async def _keep_running(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            end = await self._run_once()
            if self._stopping.is_set():
                return
            self._failures = 1 if time.monotonic() - started > _STEADY_S else self._failures + 1
            if self._failures >= _FAILURES_TO_REPORT:
                self._failing.set()
            pause_s = min(_RESTART_S * 2 ** (self._failures - 1), _MAX_RESTART_S)
            lost = f" with {self.part.holds}" if self.part.holds else ""
            self._write(f"[{end}{lost}; starts again in {pause_s:g} s]")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def _run_once(self) -> str:
        """Run the process to its end; return how it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self.part.command,
                cwd=ROOT,
                env=self.part.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # A session of its own: Ctrl-C reaches only this process, which ends the parts in order.
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
            )
        except OSError as exc:
            return f"cannot be started: {exc.strerror}"
        self._process = process
        if self._stopping.is_set():  # stop() came while there was no process to signal yet
            self._signal(signal.SIGTERM)
        if process.stdout is None:
            raise AssertionError("its output is a pipe")
        follow = asyncio.create_task(self._follow(process.stdout), name=f"{self.part.name} output")
        code = await process.wait()
        # Processes that it left behind keep its ports and its output pipe open.
        self._signal(signal.SIGKILL)
        self._process = None
        await follow
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    async def _follow(self, stream: asyncio.StreamReader) -> None:
        """Write every line of a stream until it ends; a very long line is cut into pieces."""
        rest = b""
        while chunk := await stream.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _CHUNK_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._write(line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            self._write(rest.decode("utf-8", "replace"))

    def _write(self, line: str) -> None:
        self.last_lines.append(line)
        self._log.write(line)
        if self._console is not None:
            self._console(self.part.name, line)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _die_with(parent: int) -> Callable[[], None] | None:
    """Make the kernel kill the child when this process dies, even of SIGKILL (Linux only)."""
    libc = _libc
    if libc is None:
        return None

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)

    return in_child
