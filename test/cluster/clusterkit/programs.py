"""The control plane's programs: built once, started on ports of their own, ended with the tests."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / ".local" / "cluster"
BIN = HOME / "bin"
BUILD = Path(__file__).resolve().parents[1] / "programs" / "build.sh"
_PORTS = iter(random.sample(range(20_000, 32_000), 12_000))
"""Below the range from which systems take ports for outgoing connections."""


def build():
    """Build whatever is not there yet; minutes the first time, seconds later."""
    subprocess.run([BUILD, HOME], check=True)


def free_port():
    """A port that no outgoing connection can take before a process listens on it."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_for(condition, what, timeout_s, every_s=0.5):
    """Return the first value of a condition that holds; ``what`` may be a function, asked when none does in time."""
    end = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(every_s)


class Program:
    """A process with a log and a group of its own; nothing of the caller's AWS and Kubernetes reaches it."""

    def __init__(self, name, *command, folder, **environment):
        self.name = name
        self._log = folder / f"{name}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBE"))}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdout=log,
                stderr=log,
                env=kept | environment,
                cwd=ROOT,
                start_new_session=True,
            )

    def check(self):
        """Fail if the process has ended."""
        assert self._process.poll() is None, f"{self.name} ended with {self._process.returncode}:\n{self.end_of_log()}"
        return True

    def end_of_log(self, lines=30):
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def stop(self):
        """End it: in order, or after five seconds by force."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
