"""The courier as a process, ``python -m courier``: it is Lambda's event sources for the handlers.

The environment is the functions'. HEALTH_PORT=8080 serves /healthz, which answers 503 if AWS has not answered for a
minute.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from courier.handlers import queue_handler, stream_handler
from courier.stream import TableStream

_POLLERS = 4
"""Threads that each take a batch of messages: a slow receiver holds up no more than its own batch."""
_POLL_S = 5
_STREAM_EVERY_S = 0.5
_PAUSE_S = 1.0
_SILENT_S = 60.0

logger = logging.getLogger(__name__)


class Loops:
    """Threads that repeat their work until the process must end; after an error they pause."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._worked_s: dict[str, float] = {}
        self._threads: list[threading.Thread] = []

    def add(self, name: str, work: Callable[[], float]) -> None:
        """Start a loop; each round of work returns how long to pause after it, in seconds."""
        self._worked_s[name] = time.monotonic()
        thread = threading.Thread(target=self._repeat, args=(name, work), name=name)
        self._threads.append(thread)
        thread.start()

    def are_working(self) -> bool:
        """Whether every loop had a round without an error a short time ago."""
        return all(time.monotonic() - worked_s < _SILENT_S for worked_s in self._worked_s.values())

    def stop(self) -> None:
        """End all loops, each after its round."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, name: str, work: Callable[[], float]) -> None:
        answers = True
        while not self._stopping.is_set():
            try:
                pause_s = work()
                answers, self._worked_s[name] = True, time.monotonic()
            except (BotoCoreError, ClientError) as exc:
                if answers:
                    logger.warning("%s: AWS does not answer: %s", name, exc)
                answers, pause_s = False, _PAUSE_S
            except Exception:  # the other loops have work to do; /healthz tells of this one
                if answers:
                    logger.exception("%s failed", name)
                answers, pause_s = False, _PAUSE_S
            self._stopping.wait(pause_s)


def take_messages(sqs: Any, url: str) -> float:
    """Hand a batch of the queue over, and delete what was handled."""
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_S).get("Messages", [])
    if messages:
        records = [{"messageId": message["MessageId"], "body": message["Body"]} for message in messages]
        failed = {one["itemIdentifier"] for one in queue_handler({"Records": records}, None)["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return 0


def take_changes(stream: TableStream) -> float:
    """Hand the stream's new records over."""
    failures = []

    def handle(records: list[Mapping[str, Any]]) -> str | None:
        failures.extend(stream_handler({"Records": records}, None)["batchItemFailures"])
        return failures[0]["itemIdentifier"] if failures else None

    stream.poll(handle)
    return _PAUSE_S if failures else _STREAM_EVERY_S


def serve_health(port: int, loops: Loops) -> None:
    """Serve /healthz in a thread."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/healthz"
            fine = HTTPStatus.OK if loops.are_working() else HTTPStatus.SERVICE_UNAVAILABLE
            self.send_response(fine if found else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("", port), Health)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


def main() -> None:
    """Call the handlers until the process ends."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s")
    session = botocore.session.get_session()
    config = Config(connect_timeout=3, read_timeout=_POLL_S + 10, retries={"total_max_attempts": 1})
    sqs, dynamodb, streams = (
        session.create_client(service, config=config) for service in ("sqs", "dynamodb", "dynamodbstreams")
    )
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    stream = TableStream(dynamodb=dynamodb, streams=streams, table=os.environ["JOBS_TABLE"])
    loops = Loops()
    for number in range(_POLLERS):
        loops.add(f"queue-{number}", lambda: take_messages(sqs, os.environ["COURIER_QUEUE_URL"]))
    loops.add("stream", lambda: take_changes(stream))
    if port := os.environ.get("HEALTH_PORT"):
        serve_health(int(port), loops)
    ended.wait()
    loops.stop()
    with contextlib.suppress(BotoCoreError, ClientError):  # otherwise the next process repeats a little more
        stream.save()


if __name__ == "__main__":
    main()
