"""The courier's queue, in which deliveries wait, and its dead queue, for deliveries that no receiver accepted."""

import math
from collections.abc import Sequence
from typing import Any

from contract import queues
from courier.delivery import Delivery

MAX_DELAY_S = 900
"""Longest delay of an SQS message. A delivery due later goes through the queue again."""
BATCH = 10
"""Maximum number of messages that SQS accepts at once."""


class QueueError(Exception):
    """SQS did not take a message."""


class DeliveryQueue:
    """Puts deliveries into the queues. Calls raise QueueError and botocore's errors."""

    def __init__(self, *, sqs: Any, url: str, dead_url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._dead_url = dead_url

    def put(self, deliveries: Sequence[Delivery], now_s: float) -> None:
        """Put up to BATCH deliveries into the queue, each delayed until it is due, or by MAX_DELAY_S if that is sooner.

        Each tenant has its own message group, so that a tenant with very many does not delay the others.
        """
        entries = [
            {
                "Id": str(number),
                "MessageBody": one.model_dump_json(),
                "DelaySeconds": max(0, min(math.ceil(one.due_s - now_s), MAX_DELAY_S)),
                **({"MessageGroupId": one.tenant} if one.tenant else {}),
            }
            for number, one in enumerate(deliveries)
        ]
        answer = self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
        if failed := answer.get("Failed"):
            raise QueueError(f"SQS rejected {len(failed)} of {len(entries)} messages: {failed[0].get('Code')}.")

    def dead_letter(self, delivery: Delivery, problem: str) -> None:
        """Put a delivery into the dead queue, with the reason."""
        self._sqs.send_message(
            QueueUrl=self._dead_url, **queues.dead_letter(delivery.model_dump_json(), "webhook_failed", problem)
        )
