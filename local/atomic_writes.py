"""Fixes moto's DynamoDB, which checks a condition and writes in two steps, so that requests can come in between.

A claim of an agent was lost in this way, when the API marked the job as published at the same moment.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.dynamodb.models import DynamoDBBackend

_WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")


def mend_writes() -> None:
    """Let the writes of this process's moto happen one after the other."""
    patched: Any = DynamoDBBackend
    lock = threading.RLock()

    def one_at_a_time(write: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(write)
        def locked(*arguments: Any, **options: Any) -> Any:
            with lock:
                return write(*arguments, **options)

        return locked

    for name in _WRITES:
        setattr(patched, name, one_at_a_time(getattr(patched, name)))
