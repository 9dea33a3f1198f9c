"""The compared programs, each a process with one torch thread: the bare loop, and the server with its callers."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import httpx

from local.ports import free_port

PROMPT = "a fox in the snow, oil on canvas"
STEPS = 4
TOKENS = 256
"""FLUX.1-schnell's length of prompts, in tokens."""

_LOG = Path(__file__).resolve().parents[2] / ".local" / "bench" / "flux.log"
_START_S, _PATIENCE_S = 900, 600
_PNG = "iVBORw0KGgo"
"""Base64 of a PNG's first bytes."""


@dataclass(frozen=True, slots=True)
class DrawingWork:
    """Pictures to draw; ``side`` is in pixels, ``batch`` is the number denoised together."""

    pictures: int
    side: int = 512
    batch: int = 1


class ServerAnswer(NamedTuple):
    """When a batch was requested and when it was complete, in seconds of the monotonic clock."""

    asked: float
    answered: float


@contextmanager
def running_loop(folder: Path | None) -> Iterator[Callable[[DrawingWork], float]]:
    """Run the loop with a folder's model, or with FLUX's real shape on a GPU; yield a function that times its work."""
    from bench.flux import loop  # noqa: PLC0415 - needs torch

    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        yield lambda work: process.submit(loop.draw, folder, work).result()


@contextmanager
def running_server(options: Mapping[str, object], environment: Mapping[str, str]) -> Iterator[str]:
    """Run the server with the ``model`` of config.yaml and other settings; yield its URL when it is ready."""
    port = free_port()
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + _START_S
    address = {"HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "1", "MODEL_OPTIONS": json.dumps(options)}
    _LOG.parent.mkdir(parents=True, exist_ok=True)
    command, settings = [sys.executable, "-m", "runtimes.flux.server"], os.environ | address | dict(environment)
    with _LOG.open("wb") as file, subprocess.Popen(command, env=settings, stderr=file) as process:
        try:
            while not (health := _health(url))["ready"]:
                if process.poll() is not None or not health["live"] or time.monotonic() > deadline:
                    sys.exit(f"The server does not start; its log is {_LOG}.")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def _health(url: str) -> dict[str, bool]:
    try:
        return dict(httpx.get(f"{url}/health", timeout=1, trust_env=False).json())
    except httpx.HTTPError:
        return {"live": True, "ready": False}


def ask(url: str, work: DrawingWork, callers: int) -> list[ServerAnswer]:
    """Let callers share the work: each requests a batch, waits for it, and requests the next."""
    content = {"prompt": PROMPT, "width": work.side, "height": work.side, "num_inference_steps": STEPS}
    content |= {"max_sequence_length": TOKENS, "num_images": work.batch}
    with httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False) as http, ThreadPoolExecutor(callers) as pool:

        def call(seed: int) -> tuple[ServerAnswer, httpx.Response]:
            asked = time.monotonic()
            response = http.post("/generate", json={**content, "seed": seed})
            return ServerAnswer(asked, time.monotonic()), response

        called = list(pool.map(call, range(0, work.pictures, work.batch)))
    for _, response in called:
        body = response.json() if response.is_success else {}
        pictures = body.get("images", [body.get("image", "")])
        if len(pictures) != work.batch or not all(picture.startswith(_PNG) for picture in pictures):
            sys.exit(f"The server answered {response.status_code} without the pictures: {response.text[:500]}")
    return [answer for answer, _ in called]


def seconds_of(answers: Sequence[ServerAnswer]) -> float:
    """Seconds from the first request to the last answer."""
    return max(answer.answered for answer in answers) - min(answers).asked
