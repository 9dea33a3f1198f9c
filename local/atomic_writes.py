"""Fixes moto's DynamoDB, which checks a condition and writes in two steps, so that requests can come in between.

A claim of an agent was lost in this way, when the API marked the job as published at the same moment; and a reader saw
a job with nothing but its key, because an update of what is not there first puts the key.
"""

import functools
import threading
from typing import Any

from moto.dynamodb.responses import DynamoHandler


def mend_writes() -> None:
    """Let the requests to this process's DynamoDB happen one after the other, answers included."""
    patched: Any = DynamoHandler
    lock, call_action = threading.RLock(), patched.call_action

    @functools.wraps(call_action)
    def one_at_a_time(handler: Any) -> Any:
        with lock:
            return call_action(handler)

    patched.call_action = one_at_a_time
