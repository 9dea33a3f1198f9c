"""Child processes, and waiting for conditions."""

import contextlib
import multiprocessing
import os
import random
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

import httpx

from local.sandbox import sandboxed

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
"""How long a test waits for an event. This costs nothing if the event comes."""
HTTP = httpx.Client(trust_env=False, timeout=5, limits=httpx.Limits(max_keepalive_connections=0))
"""Queries the processes. One client for all, because each new one reads the machine's certificates."""

_PORTS = iter(random.sample(range(20_000, 32_000), 12_000))
"""Below the range of ports for outgoing connections."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *("queue_agent.__main__", "local.gateway", "boto3", "runtimes.flux.server.__main__"),
        *("runtimes.standin.__main__", "runtimes.sdwebui.standin.routes", "runtimes.comfyui.standin.routes"),
    ]
)
_LOCK = threading.RLock()
"""Two threads that poll the same process would take its exit status from each other."""


def free_port() -> int:
    """Find a free port that no outgoing connection can take before a process listens on it."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_for(
    condition: Callable[[], T], what: str | Callable[[], object], timeout_s: float = PATIENCE_S, every_s: float = 0.05
) -> T:
    """Return the first true value of a condition, looking less and less often, at last after 5 * ``every_s``.

    Raises:
        AssertionError: The wait timed out; the message contains ``what``, which may be a function called only then.
    """
    end_s, pause_s = time.monotonic() + timeout_s, every_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, 5 * every_s)


def answers(url: str) -> bool:
    """Whether a URL answers with 200."""
    with contextlib.suppress(httpx.HTTPError):
        return HTTP.get(url).status_code == 200
    return False


class ChildProcess:
    """A ``python -m MODULE …`` that can be stopped and restarted; its output is appended to one file.

    It is forked from a process that has already imported all parts, which takes 1 % of the time of a new Python. With
    ``fresh`` it is a new Python, run by the command ``wrapper`` if there is one. It can only reach AWS at ``endpoint``.
    """

    def __init__(
        self,
        *arguments: str,
        log: Path,
        endpoint: str,
        wrapper: Sequence[str] = (),
        fresh: bool = False,
        **environment: str,
    ) -> None:
        self._arguments = arguments
        self._command = [*wrapper, sys.executable, "-m", *arguments] if wrapper or fresh else None
        self._log = log
        self._environment = sandboxed(os.environ, endpoint) | environment
        self._process: ForkServerProcess | None = None
        self.exits: list[int] = []
        """How each run has ended: an exit status, or a negative signal number."""

    def start(self) -> None:
        assert not self.is_alive
        arguments = (self._arguments, self._command, self._environment, str(self._log))
        with _LOCK:
            # A daemon, so that it ends with the tests even if a broken test leaves it behind.
            self._process = _FORKS.Process(target=_become, args=arguments, daemon=True)
            self._process.start()

    @property
    def is_alive(self) -> bool:
        with _LOCK:
            return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int:
        """Process id of the latest run."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal if the process is running."""
        with _LOCK:
            if self.is_alive:
                os.kill(self.pid, number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the end of the run; return its exit status."""
        wait_for(lambda: not self.is_alive, "a process to end", timeout_s, every_s=0.02)
        with _LOCK:
            status, self._process = self._process and self._process.exitcode, None
            if status is not None:
                self.exits.append(status)
        return self.exits[-1]

    def kill(self) -> None:
        """Kill the process, if it is running."""
        if self._process is not None:
            self.send(signal.SIGKILL)
            self.wait()

    def terminate(self, timeout_s: float = PATIENCE_S) -> int:
        """Send SIGTERM and wait for the end; return the exit status."""
        self.send(signal.SIGTERM)
        return self.wait(timeout_s)

    @property
    def log(self) -> str:
        """All its output."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""


def _become(arguments: Sequence[str], command: Sequence[str] | None, environment: dict[str, str], log: str) -> None:
    """Become the child, in the forked process."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(ROOT)
    if command is not None:
        os.execvpe(command[0], command, environment)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    multiprocessing.current_process().daemon = False  # so that it may have children
    sys.argv[1:] = arguments[1:]
    sys.modules.pop(f"{arguments[0]}.__main__", None)
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
