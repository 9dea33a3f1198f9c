"""Handles the batches of messages and records that Lambda passes, and answers which ones failed."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from courier.changes import deliveries_of
from courier.courier import Courier
from courier.queue import BATCH, DeliveryQueue

logger = logging.getLogger(__name__)


def handle_messages(courier: Courier, event: Mapping[str, Any]) -> dict[str, Any]:
    """Handle messages of the courier's queue in parallel. Returns those that must be delivered again."""
    failed = []

    def handle(record: Mapping[str, Any]) -> None:
        try:
            courier.handle(record["body"])
        except Exception:  # one message must not make SQS deliver the others of its batch again
            logger.exception("message %s failed", record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})

    # A slow receiver must not hold up the others.
    with ThreadPoolExecutor(BATCH, thread_name_prefix="webhook") as threads:
        list(threads.map(handle, event["Records"]))
    return {"batchItemFailures": failed}


def handle_changes(queue: DeliveryQueue, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Put the deliveries for the table's changes into the queue. Returns the first record that must be read again."""
    deliveries = deliveries_of(event["Records"])
    for start in range(0, len(deliveries), BATCH):
        some = deliveries[start : start + BATCH]
        try:
            queue.put([delivery for _, delivery in some], now_s)
        except Exception:  # Lambda repeats the records after it, too
            logger.exception("changes from record %s on are not in the queue", some[0][0])
            return {"batchItemFailures": [{"itemIdentifier": some[0][0]}]}
    return {"batchItemFailures": []}
