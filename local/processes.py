"""The parts as child processes: kept alive as a kubelet would, ended with everything they started."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.output import PartOutput

_RESTART_S = 0.5
_MAX_RESTART_S = 30.0
_STEADY_S = 60.0
"""A part that ran this long has recovered: its next restart is quick again."""
_FAILURES_TO_REPORT = 3
_PROBE_EVERY_S = 0.05
_PR_SET_PDEATHSIG = 1

# Loaded here, not in the forked child: there only async-signal-safe work is sure to end.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

Probe = Callable[[], Awaitable[bool]]


class GivenUpError(Exception):
    """A probe sees that the part runs and will never be ready."""


class PartFailedError(Exception):
    """A part does not come up, or dies over and over."""

    def __init__(self, part: str, problem: str, output: PartOutput) -> None:
        super().__init__(f"{part} {problem}")
        self.part = part
        self.output = output


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process to run.

    Attributes:
        name: Names its log and its lines on the console.
        command: Program and arguments.
        environment: The whole environment.
        probe: Tells whether it is ready; None when nobody waits for it.
        ready_s: How long it may take to be ready.
        holds: What is lost when it ends, and is to be told then; empty where that is nothing.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    probe: Probe | None = None
    ready_s: float = 60.0
    holds: str = ""


class SupervisedProcess:
    """One part, started again with growing pauses whenever it ends."""

    def __init__(self, part: Part, output: PartOutput, *, directory: Path) -> None:
        self.part = part
        self.output = output
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._failing = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the process and keep it running until ``stop``."""
        self._task = asyncio.create_task(self._keep_running(), name=self.part.name)
        self._task.add_done_callback(lambda _: self._failing.set())

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def failed(self) -> PartFailedError:
        """Wait until the process has ended several times in a row."""
        await self._failing.wait()
        return PartFailedError(self.part.name, f"ended {self._failures} times in a row", self.output)

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for the probe.

        Raises:
            PartFailedError: It is not ready in time, or keeps ending.
        """
        deadline = time.monotonic() + timeout_s
        while not await self._is_ready():
            if self._failing.is_set():
                raise await self.failed()
            if time.monotonic() > deadline:
                raise PartFailedError(self.part.name, f"was not ready within {timeout_s:g} seconds", self.output)
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _is_ready(self) -> bool:
        try:
            return self.part.probe is None or await self.part.probe()
        except GivenUpError:
            raise PartFailedError(self.part.name, "has given up", self.output) from None

    async def stop(self, grace_s: float) -> None:
        """End the process: SIGTERM to its group, SIGKILL after the grace period, or at once when cancelled."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait([self._task], timeout=grace_s)
        finally:
            self._signal(signal.SIGKILL)
        await self._task

    async def _keep_running(self) -> None:
        with self.output.opened():
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
                self.output.write(f"[{end}{lost}; starts again in {pause_s:g} s]")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def _run_once(self) -> str:
        """Run the process to its end; return how it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self.part.command,
                cwd=self._directory,
                env=self.part.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # A session of its own: Ctrl-C in the terminal reaches only us, and we end the parts in order.
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
        follow = asyncio.create_task(self.output.follow(process.stdout), name=f"{self.part.name} output")
        code = await process.wait()
        # What it left behind holds its ports, and the pipe that we read.
        self._signal(signal.SIGKILL)
        self._process = None
        await follow
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _die_with(parent: int) -> Callable[[], None] | None:
    """Make the kernel kill the child when we die, even of SIGKILL (Linux only)."""
    libc = _libc
    if libc is None:
        return None

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we died before the call above
            os._exit(1)

    return in_child
