"""Mends moto's long poll, which SQS does better in two ways.

moto goes on waiting for a client that has died, and the message it then hands out is hidden from everybody for the
whole visibility timeout; and two clients that wait at the same time may both get a message.
"""

import select
import socket
import threading
import time
from typing import Any

from flask import request
from moto.sqs.models import Message, SQSBackend

_LOOK_EVERY_S = 1


def mend_long_poll() -> None:
    """Put the mended long poll in place of moto's, for this process."""
    backend_class: Any = SQSBackend
    receive = backend_class.receive_message
    one_at_a_time = threading.Lock()

    def receive_message(
        backend: SQSBackend, queue_name: str, count: int, wait_seconds_timeout: int, *rest: Any
    ) -> list[Message]:
        deadline = time.monotonic() + wait_seconds_timeout
        client: socket.socket = request.environ["werkzeug.socket"]
        while not _has_hung_up(client):
            with one_at_a_time:
                messages: list[Message] = receive(backend, queue_name, count, 0, *rest)
            if messages or time.monotonic() >= deadline:
                return messages
            backend.get_queue(queue_name).wait_for_messages(_LOOK_EVERY_S)
        return []

    backend_class.receive_message = receive_message


def _has_hung_up(client: socket.socket) -> bool:
    readable, _, _ = select.select([client], [], [], 0)
    try:
        return bool(readable) and not client.recv(1, socket.MSG_PEEK)
    except ConnectionError:
        return True
