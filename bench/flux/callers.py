"""Callers of the server: each asks for a picture, waits for it, and asks for the next."""

import base64
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from uuid import uuid4

from bench.flux.work import PROMPT, STEPS, TOKENS, Work

_PATIENCE_S = 600
_PNG = b"\x89PNG"


class CallError(Exception):
    """The server did not answer with pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server gave for one request; moments are seconds of the monotonic clock.

    Attributes:
        job: The request's job.
        asked: The request was sent.
        answered: The answer's last byte was read.
        body: The answer.
    """

    job: str
    asked: float
    answered: float
    body: bytes

    def pictures(self) -> list[bytes]:
        """Its pictures.

        Raises:
            CallError: One is none.
        """
        body = json.loads(self.body)
        images = [base64.b64decode(image) for image in body.get("images", [body["image"]])]
        if not all(image.startswith(_PNG) for image in images):
            raise CallError(f"job {self.job} has a picture that is no PNG")
        return images


def ask(port: int, work: Work, callers: int) -> list[Answer]:
    """Have callers share some work; nothing but the calls is done until the last one has its answer.

    Args:
        port: The server's.
        work: Pictures; each request asks for as many as are denoised together.
        callers: How many there are.

    Raises:
        CallError: A request got no pictures.
    """
    seeds = iter(range(0, work.pictures, work.batch))
    taking = threading.Lock()

    def seeds_left() -> Iterator[int]:
        while True:
            with taking:
                seed = next(seeds, None)
            if seed is None:
                return
            yield seed

    def call() -> Sequence[Answer]:
        connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        try:
            return [_answer(connection, work, seed) for seed in seeds_left()]
        finally:
            connection.close()

    with ThreadPoolExecutor(callers) as threads:
        answers = [answer for done in [threads.submit(call) for _ in range(callers)] for answer in done.result()]
    if sum(len(answer.pictures()) for answer in answers) != work.pictures:
        raise CallError("there are not as many pictures as were asked for")
    return answers


def _answer(connection: HTTPConnection, work: Work, seed: int) -> Answer:
    job = str(uuid4())
    content = {
        "job_id": job,
        "prompt": PROMPT,
        "seed": seed,
        "width": work.side,
        "height": work.side,
        "num_inference_steps": STEPS,
        "max_sequence_length": TOKENS,
        "num_images": work.batch,
    }
    body = json.dumps(content).encode()
    asked = time.monotonic()
    try:
        connection.request("POST", "/generate", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    except OSError as exc:
        raise CallError(f"the server does not answer: {exc!r}") from exc
    answered = time.monotonic()
    if response.status != HTTPStatus.OK:
        raise CallError(f"the server answers {response.status}: {answer[:500].decode(errors='replace')}")
    return Answer(job=job, asked=asked, answered=answered, body=answer)
