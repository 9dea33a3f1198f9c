"""Spares moto what it does again for each request: it lists its own folder, and counts the messages of queues."""

import time
from typing import Any

from moto import backends
from moto.sqs import models


def spare_work() -> None:
    """Replace the repeated work in this process; a message is received in a third of the processor time."""
    modules = frozenset(backends.list_of_moto_modules())
    patched_backends: Any = backends
    patched_backends.list_of_moto_modules = lambda: modules
    patched_models: Any = models
    # moto makes two dates of each look at a message, and looks at each message of a queue for each one that it sends.
    patched_models.unix_time_millis = lambda: time.time() * 1000
    backend_class: Any = models.SQSBackend
    backend_class.is_message_valid_based_on_retention_period = _is_kept


def _is_kept(backend: models.SQSBackend, queue_name: str, message: Any) -> bool:
    queue: Any = backend.get_queue(queue_name)
    ends_s: float = message.sent_timestamp / 1000 + float(queue.message_retention_period)
    return ends_s > time.time()
