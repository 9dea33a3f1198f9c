"""Mends moto's queues, which differ from SQS in three ways.

moto keeps waiting for a client that has died, and the message it then delivers is hidden from everybody for the
whole visibility timeout. Two clients that wait at the same time may both get a message. And a message that is sent
while another one is deleted may be lost.
"""

import select
import socket
import time
from typing import Any

from flask import request
from moto.sqs.models import Message, Queue, SQSBackend

_LOOK_EVERY_S = 1


def mend_long_poll() -> None:
    """Replace moto's long poll in this process; one caller at a time changes a queue."""
    backend_class: Any = SQSBackend
    queue_class: Any = Queue
    receive, delete = backend_class.receive_message, queue_class.delete_message

    def receive_message(
        backend: SQSBackend, queue_name: str, count: int, wait_seconds_timeout: int, *rest: Any
    ) -> list[Message]:
        deadline = time.monotonic() + wait_seconds_timeout
        client: socket.socket = request.environ["werkzeug.socket"]
        queue: Any = backend.get_queue(queue_name)
        while not _has_hung_up(client):
            with queue._messages_lock:  # moto takes it to send, and for nothing else
                messages: list[Message] = receive(backend, queue_name, count, 0, *rest)
            if messages or time.monotonic() >= deadline:
                return messages
            queue.wait_for_messages(_LOOK_EVERY_S)
        return []

    def delete_message(queue: Any, receipt_handle: str) -> None:
        with queue._messages_lock:
            delete(queue, receipt_handle)

    backend_class.receive_message = receive_message
    queue_class.delete_message = delete_message


def _has_hung_up(client: socket.socket) -> bool:
    readable, _, _ = select.select([client], [], [], 0)
    try:
        return bool(readable) and not client.recv(1, socket.MSG_PEEK)
    except ConnectionError:
        return True
