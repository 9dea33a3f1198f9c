"""The runtime's SQS queue, and the dead queue beside it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from contract.queues import dead_letter, redrive_target
from queue_agent.aws.clients import translated
from queue_agent.errors import PlatformError

logger = logging.getLogger(__name__)

_LONG_POLL_S = 20
_SHORT_POLL_S = 1
_RELEASE_S = 5.0
"""An agent that is being stopped cannot wait longer."""
_ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "AWSTraceHeader"]
_MAX_AT_ONCE = 10  # SQS gives no more


@dataclass(slots=True, kw_only=True)
class QueueMessage:
    """A message as SQS delivers it; times are milliseconds since 1970 by SQS's clock."""

    queue_url: str
    """The queue that it was received from."""
    message_id: str
    """Changes on redrive."""
    receipt: str
    """Identifies this delivery in later calls."""
    body: str
    deliveries: int
    """This one included."""
    sent_ms: int
    first_received_ms: int
    trace_header: str | None = None
    """In X-Ray's format."""
    is_deleted: bool = False
    """Whether the agent is done with it."""


class SqsQueue:
    """A queue to receive from; what is done with a message is done in the message's own queue.

    It is made by ``open``, which asks SQS for its attributes. All calls raise PlatformError when they fail.
    Delivered messages stay hidden from other agents for ``visibility_s``.
    """

    def __init__(self, sqs: Any, *, url: str, dead_queue_url: str | None, visibility_s: int) -> None:
        self._sqs = sqs
        self._url = url
        self._dead_queue_url = dead_queue_url
        self.visibility_s = visibility_s

    @classmethod
    async def open(cls, sqs: Any, url: str, dead_queue_url: str | None, *, visibility_s: int | None = None) -> Self:
        """Look up the queue's visibility timeout, and the dead queue at the end of its redrive chain, unless given."""
        if dead_queue_url is None or visibility_s is None:
            attributes = await _attributes(sqs, url, "VisibilityTimeout", "RedrivePolicy")
            dead_queue_url = dead_queue_url or await _last_redrive_target(sqs, attributes)
            visibility_s = visibility_s or int(attributes["VisibilityTimeout"])
        return cls(sqs, url=url, dead_queue_url=dead_queue_url, visibility_s=visibility_s)

    def beside(self, url: str) -> Self:
        """Another queue of the same runtime, with the same timeouts and dead queue."""
        return type(self)(self._sqs, url=url, dead_queue_url=self._dead_queue_url, visibility_s=self.visibility_s)

    async def receive(self, max_messages: int = 1) -> list[QueueMessage]:
        """Wait up to 20 s for a message; for several, where a job is running, up to 1 s.

        A message that arrives later may be wanted by an idle agent.
        """
        return await self._receive(max_messages, _LONG_POLL_S if max_messages == 1 else _SHORT_POLL_S)

    async def receive_now(self, max_messages: int = 1) -> list[QueueMessage]:
        """Receive without waiting; where there are few messages, SQS may overlook them."""
        return await self._receive(max_messages, 0)

    async def _receive(self, max_messages: int, wait_s: int) -> list[QueueMessage]:
        with translated("sqs:ReceiveMessage"):
            response = await self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(max_messages, _MAX_AT_ONCE),
                WaitTimeSeconds=wait_s,
                MessageSystemAttributeNames=_ATTRIBUTES,
            )
        return [_read(self._url, message) for message in response.get("Messages") or ()]

    async def extend(self, message: QueueMessage) -> None:
        """Keep a message hidden for another ``visibility_s``."""
        await self._hide(message, self.visibility_s)

    async def release(self, message: QueueMessage, delay_s: int = 0) -> None:
        """Let a message go back to the queue; without an answer within 5 s, it does so when its visibility ends."""
        try:
            async with asyncio.timeout(_RELEASE_S):
                await self._hide(message, delay_s)
        except TimeoutError as exc:
            raise PlatformError("sqs:ChangeMessageVisibility was not answered in time.") from exc

    async def delete(self, message: QueueMessage) -> None:
        """Delete a message that is done."""
        with translated("sqs:DeleteMessage"):
            await self._sqs.delete_message(QueueUrl=message.queue_url, ReceiptHandle=message.receipt)
        message.is_deleted = True

    async def dead_letter(self, message: QueueMessage, code: str, reason: str) -> None:
        """Move a message to the dead queue, with the reason as attributes; without one, release it."""
        if self._dead_queue_url is None:
            logger.error("no dead queue: the message stays in the queue", extra={"message_id": message.message_id})
            await self.release(message, self.visibility_s)
            return
        with translated("sqs:SendMessage"):
            await self._sqs.send_message(QueueUrl=self._dead_queue_url, **dead_letter(message.body, code, reason))
        await self.delete(message)

    async def _hide(self, message: QueueMessage, seconds: int) -> None:
        with translated("sqs:ChangeMessageVisibility"):
            await self._sqs.change_message_visibility(
                QueueUrl=message.queue_url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )


def read_record(record: Mapping[str, Any], queue_urls: Mapping[str, str]) -> QueueMessage:
    """Read a message as Lambda passes it on, given the URLs of the queues by name; KeyError for another queue."""
    # Lambda writes SQS's own names with a small letter (its guide, "Using Lambda with Amazon SQS").
    names = {"MessageId": "messageId", "ReceiptHandle": "receiptHandle", "Body": "body", "Attributes": "attributes"}
    name = record["eventSourceARN"].rpartition(":")[2]
    return _read(queue_urls[name], {ours: record[theirs] for ours, theirs in names.items()})


def _read(queue_url: str, message: Mapping[str, Any]) -> QueueMessage:
    attributes = message["Attributes"]
    return QueueMessage(
        queue_url=queue_url,
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        deliveries=int(attributes["ApproximateReceiveCount"]),
        sent_ms=int(attributes["SentTimestamp"]),
        first_received_ms=int(attributes["ApproximateFirstReceiveTimestamp"]),
        trace_header=attributes.get("AWSTraceHeader"),
    )


async def _last_redrive_target(sqs: Any, attributes: Mapping[str, str]) -> str | None:
    """The queue at the end of the redrives: the keeper's is between the runtime's own queue and the dead one."""
    url = None
    while name := redrive_target(attributes):
        with translated("sqs:GetQueueUrl"):
            url = (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
        attributes = await _attributes(sqs, url, "RedrivePolicy")
    return url


async def _attributes(sqs: Any, url: str, *names: str) -> Mapping[str, str]:
    with translated("sqs:GetQueueAttributes"):
        response = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
    attributes: Mapping[str, str] = response.get("Attributes", {})
    return attributes
