"""The two that are compared, each a process of its own with one torch thread: the bare loop, and the server."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.agent.timeline import Span
from bench.flux.work import Work
from local.ports import free_port

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Of torch, in every thread of every process."""
_LOG = Path(__file__).resolve().parents[2] / ".local" / "bench" / "flux.log"
_START_S = 900
_STOP_S = 30
_PROBE_EVERY_S = 0.1


class ProgramError(Exception):
    """A program does not start, or has ended."""


@dataclass(frozen=True, slots=True)
class LoopRun:
    """What the loop did: seconds from the first call until the last picture was saved, and when it drew."""

    seconds: float
    drawn: tuple[Span, ...]


class Loop:
    """The running loop."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def wait_until_ready(self) -> None:
        """Wait until it has its model.

        Raises:
            ProgramError: It has ended, or does not keep to one thread.
        """
        if (threads := self._answer()["threads"]) != 1:
            raise ProgramError(f"the bare loop takes {threads} threads")

    def draw(self, work: Work) -> LoopRun:
        """Have some work done.

        Raises:
            ProgramError: It has ended.
        """
        if self._process.stdin is None:
            raise ProgramError("the loop has no standard input")
        print(json.dumps(asdict(work)), file=self._process.stdin, flush=True)
        answer = self._answer()
        spans = (Span(start, end, f"picture-{number}") for number, (start, end) in enumerate(answer["drawn"]))
        return LoopRun(answer["seconds"], tuple(spans))

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise ProgramError("the bare loop has ended; what it printed is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running_loop(folder: Path | None) -> Iterator[Loop]:
    """Run the loop; it has its model when ``wait_until_ready`` returns.

    Args:
        folder: Its model's; None takes FLUX's real shape on a GPU.
    """
    command = [sys.executable, "-m", "bench.flux.loop", *([str(folder)] if folder else [])]
    process = subprocess.Popen(
        command, env=os.environ | _ONE_THREAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with _ended(process):
        yield Loop(process)


@contextmanager
def running_server(options: Mapping[str, object], environment: Mapping[str, str]) -> Iterator[int]:
    """Run the server; gives its port when it is ready.

    Args:
        options: As config.yaml's ``model``.
        environment: More of its settings.

    Raises:
        ProgramError: It does not start.
    """
    port = free_port()
    settings = {
        "MODEL_OPTIONS": json.dumps(dict(options)),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WORKERS": "1",
        **_ONE_THREAD,
        **environment,
    }
    _LOG.parent.mkdir(parents=True, exist_ok=True)
    with _LOG.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtimes.flux.server"], env=os.environ | settings, stderr=file
        )
    with _ended(process):
        _wait_until_ready(process, port)
        yield port


@contextmanager
def _ended(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """End a process on the way out."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[Any]", port: int) -> None:
    deadline = time.monotonic() + _START_S
    while not (health := _health(port))["ready"]:
        if process.poll() is not None or not health["live"] or time.monotonic() > deadline:
            raise ProgramError(f"the server does not start; its log is {_LOG}")
        time.sleep(_PROBE_EVERY_S)


def _health(port: int) -> dict[str, Any]:
    """What the server says of itself; that it is on its way, where it says nothing yet."""
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/health")
        health: dict[str, Any] = json.load(connection.getresponse())
    except OSError:
        return {"live": True, "ready": False}
    else:
        return health
    finally:
        connection.close()
