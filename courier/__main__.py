"""The courier as a process, ``python -m courier``. It calls the handlers as Lambda's event sources do.

Its environment is that of the functions. HEALTH_PORT=8080 serves /healthz, which answers 503 if a loop has not worked
for a minute.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from courier.handlers import queue_handler, stream_handler
from courier.stream import TableStream

_SLOTS = 64
"""Messages handled at the same time, mostly waiting for receivers."""
_BATCH = 10
"""Maximum number of messages that SQS returns at once."""
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
        """Start a loop. Each round of work returns the seconds to pause after it."""
        self._worked_s[name] = time.monotonic()
        thread = threading.Thread(target=self._repeat, args=(name, work), name=name)
        self._threads.append(thread)
        thread.start()

    def are_working(self) -> bool:
        """Whether every loop completed a round without an error in the last minute."""
        return all(time.monotonic() - worked_s < _SILENT_S for worked_s in self._worked_s.values())

    def stop(self) -> None:
        """Stop all loops after their current round."""
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
            except Exception:  # the other loops go on; /healthz reports this one
                if answers:
                    logger.exception("%s failed", name)
                answers, pause_s = False, _PAUSE_S
            self._stopping.wait(pause_s)


class MessageSlots:
    """Threads that each handle one message, so that a slow receiver holds up only its own message."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._free = threading.Semaphore(_SLOTS)
        self._threads = ThreadPoolExecutor(_SLOTS, thread_name_prefix="message")

    def fill(self) -> float:
        """Wait for a free slot, then receive as many messages as there are free slots."""
        self._free.acquire()
        count = 1
        while count < _BATCH and self._free.acquire(blocking=False):
            count += 1
        messages: list[Mapping[str, Any]] = []
        try:
            answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=count, WaitTimeSeconds=_POLL_S)
            messages = answer.get("Messages", [])
        finally:
            for _ in range(count - len(messages)):
                self._free.release()
        for message in messages:
            self._threads.submit(self._handle, message)
        return 0

    def empty(self) -> None:
        """Wait until all messages are handled."""
        self._threads.shutdown()

    def _handle(self, message: Mapping[str, Any]) -> None:
        try:
            record = {"messageId": message["MessageId"], "body": message["Body"]}
            if not queue_handler({"Records": [record]}, None)["batchItemFailures"]:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        except (BotoCoreError, ClientError) as exc:
            logger.warning("message %s stays in the queue: %s", message["MessageId"], exc)
        finally:
            self._free.release()


def take_changes(stream: TableStream) -> float:
    """Pass the stream's new records to the handler."""
    pauses_s = [_STREAM_EVERY_S]

    def handle(records: list[Mapping[str, Any]]) -> str | None:
        for failure in stream_handler({"Records": records}, None)["batchItemFailures"]:
            pauses_s.append(_PAUSE_S)
            return str(failure["itemIdentifier"])
        return None

    stream.poll(handle)
    return max(pauses_s)


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
    once = {"total_max_attempts": 1}
    config = Config(connect_timeout=3, read_timeout=_POLL_S + 10, retries=once, max_pool_connections=_SLOTS)
    sqs, dynamodb, streams = (
        session.create_client(service, config=config) for service in ("sqs", "dynamodb", "dynamodbstreams")
    )
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    stream = TableStream(dynamodb=dynamodb, streams=streams, table=os.environ["JOBS_TABLE"])
    loops = Loops()
    slots = MessageSlots(sqs, os.environ["COURIER_QUEUE_URL"])
    loops.add("queue", slots.fill)
    loops.add("stream", lambda: take_changes(stream))
    if port := os.environ.get("HEALTH_PORT"):
        serve_health(int(port), loops)
    ended.wait()
    loops.stop()
    slots.empty()
    with contextlib.suppress(BotoCoreError, ClientError):  # the next process then repeats a little more
        stream.save()


if __name__ == "__main__":
    main()
