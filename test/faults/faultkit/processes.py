"""Child processes and conditions to wait for."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from local.sandbox import sandboxed

ROOT = Path(__file__).resolve().parents[3]
WAIT_S = 40
_PORTS = iter(random.sample(range(20_000, 32_000), 12_000))
"""Below the range from which systems take ports for outgoing connections."""


def free_port():
    """A port that no outgoing connection can take before a process listens on it."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_for(condition, what, timeout_s=WAIT_S, every_s=0.05):
    """Return the first value of a condition that holds; ``what`` may be a function, asked when none does in time."""
    end = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(every_s)


def answers(url):
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    return False


class Child:
    """One ``python -m …`` that can be ended and started anew; its output is added to one file."""

    def __init__(self, *arguments, log, endpoint, wrapper=(), **environment):
        self._command = [*wrapper, sys.executable, *arguments]
        self._log = log
        self._environment = sandboxed(os.environ, endpoint) | environment
        self._process = None
        self.exits = []
        """How each run so far has ended: an exit status, or minus a signal's number."""

    def start(self):
        assert not self.is_alive
        self._process = None
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, env=self._environment, cwd=ROOT
            )

    @property
    def is_alive(self):
        process = self._process  # another thread may take note of its end
        return process is not None and process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def send(self, number):
        process = self._process
        if process is not None:
            process.send_signal(number)

    def wait(self, timeout_s):
        """The exit status of the run that ends; noted once."""
        status = self._process.wait(timeout_s)
        self._process = None
        self.exits.append(status)
        return status

    def kill(self):
        if self._process is not None:
            self.send(signal.SIGKILL)
            self.wait(10)

    def terminate(self, timeout_s):
        self.send(signal.SIGTERM)
        return self.wait(timeout_s)

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
