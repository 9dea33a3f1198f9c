"""What is compared, each a process of its own with one torch thread: the bare loop, and the server with its callers."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from local.ports import free_port

PROMPT = "a fox in the snow, oil on canvas"
STEPS = 4
TOKENS = 256
"""Of the prompt, as FLUX.1-schnell reads them."""

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Of torch, in every thread of every process."""
_LOG = Path(__file__).resolve().parents[2] / ".local" / "bench" / "flux.log"
_START_S = 900
_STOP_S = 30
_PATIENCE_S = 600
_PROBE_EVERY_S = 0.1
_PNG = b"\x89PNG"


class ProgramError(Exception):
    """A program does not start, has ended, or does not give what it was asked for."""


@dataclass(frozen=True, slots=True)
class DrawingWork:
    """Pictures to draw; ``side`` in pixels, ``batch`` is how many are denoised together."""

    pictures: int
    side: int = 512
    batch: int = 1


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """One request's pictures; the moments are seconds of the monotonic clock."""

    asked: float
    answered: float
    pictures: list[bytes]


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

    def draw(self, work: DrawingWork) -> dict[str, Any]:
        """Have some work done; returns its seconds, and when each batch was drawn.

        Raises:
            ProgramError: It has ended.
        """
        print(json.dumps(asdict(work)), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise ProgramError("the bare loop has ended; what it printed is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running_loop(folder: Path | None) -> Iterator[Loop]:
    """Run the loop with a folder's model, or with FLUX's real shape on a GPU."""
    command = [sys.executable, "-m", "bench.flux.loop", *([str(folder)] if folder else [])]
    process = subprocess.Popen(
        command, env=os.environ | _ONE_THREAD, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with _ended(process):
        yield Loop(process)


@contextmanager
def running_server(options: Mapping[str, object], environment: Mapping[str, str]) -> Iterator[str]:
    """Run the server; gives its URL when it is ready.

    Args:
        options: As config.yaml's ``model``.
        environment: More of its settings.

    Raises:
        ProgramError: It does not start.
    """
    port = free_port()
    address = {"HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "1", "MODEL_OPTIONS": json.dumps(dict(options))}
    _LOG.parent.mkdir(parents=True, exist_ok=True)
    with _LOG.open("wb") as file:
        settings = os.environ | address | _ONE_THREAD | dict(environment)
        process = subprocess.Popen([sys.executable, "-m", "runtimes.flux.server"], env=settings, stderr=file)
    with _ended(process):
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + _START_S
        while not (health := _health(url))["ready"]:
            if process.poll() is not None or not health["live"] or time.monotonic() > deadline:
                raise ProgramError(f"the server does not start; its log is {_LOG}")
            time.sleep(_PROBE_EVERY_S)
        yield url


def ask(url: str, work: DrawingWork, callers: int) -> list[ServerAnswer]:
    """Have callers share some work: each asks for a batch, waits for it, and asks for the next.

    Nothing else is done until the last one has its answer.

    Raises:
        ProgramError: A request got no pictures.
    """
    content = {"prompt": PROMPT, "width": work.side, "height": work.side, "num_inference_steps": STEPS}
    content |= {"max_sequence_length": TOKENS, "num_images": work.batch}
    with httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False) as http, ThreadPoolExecutor(callers) as pool:

        def call(seed: int) -> tuple[float, float, httpx.Response]:
            asked = time.monotonic()
            response = http.post("/generate", json={**content, "seed": seed})
            return asked, time.monotonic(), response

        try:
            called = list(pool.map(call, range(0, work.pictures, work.batch)))
        except httpx.HTTPError as exc:
            raise ProgramError(f"the server does not answer: {exc!r}") from exc
    answers = [ServerAnswer(asked, answered, _pictures(response)) for asked, answered, response in called]
    if sum(len(answer.pictures) for answer in answers) != work.pictures:
        raise ProgramError("there are not as many pictures as were asked for")
    return answers


def _pictures(response: httpx.Response) -> list[bytes]:
    if response.status_code != httpx.codes.OK:
        raise ProgramError(f"the server answers {response.status_code}: {response.text[:500]}")
    body = response.json()
    pictures = [base64.b64decode(image) for image in body.get("images", [body["image"]])]
    if not all(picture.startswith(_PNG) for picture in pictures):
        raise ProgramError("there is a picture that is no PNG")
    return pictures


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


def _health(url: str) -> dict[str, Any]:
    """What the server says of itself; that it is on its way, where it says nothing yet."""
    try:
        health: dict[str, Any] = httpx.get(f"{url}/health", timeout=1, trust_env=False).json()
    except httpx.HTTPError:
        return {"live": True, "ready": False}
    return health
