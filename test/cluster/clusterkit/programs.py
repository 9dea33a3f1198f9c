"""The control plane's programs: built once, started on ports of their own, ended with the tests."""

import contextlib
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

from test.kit.processes import ROOT
from test.kit.processes import wait_for as kit_wait_for

HOME = ROOT / ".local" / "cluster"
BIN = HOME / "bin"
BUILD = Path(__file__).resolve().parents[1] / "programs" / "build.sh"
wait_for = partial(kit_wait_for, every_s=0.5)


def build():
    """Build whatever is not there yet; minutes the first time, seconds later."""
    subprocess.run([BUILD, HOME], check=True)


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
