"""A runtime's queue, and the dead queue where its redrive chain ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from contract.envelope import NewerSchemaError, TaskMessage, UnreadableMessageError, read_message
from contract.queues import CODE_ATTRIBUTE, REASON_ATTRIBUTE, redrive_target
from deploy.errors import DeployError

_HIDE_S = 120
"""How long a message that was read stays hidden should this process be killed."""
_WAIT_S = 1
"""A long poll, however short, asks every server of a queue; a short one would overlook messages."""
_BATCH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMessage:
    """A message of a dead queue.

    Attributes:
        receipt: What it is deleted or released by.
        body: Its text.
        sent_s: When it came there, seconds since 1970.
        code: Why, in one word; empty where SQS itself put it there.
        reason: Why, in a sentence.
        delivery: The task in it; None where none can be read.
    """

    receipt: str
    body: str
    sent_s: float
    code: str
    reason: str
    delivery: TaskMessage | None

    @property
    def job(self) -> str:
        """The job's id; a dash where no task can be read."""
        return "-" if self.delivery is None else self.delivery.job


class DeadQueue:
    """A runtime's dead queue, and the queue to which its messages go back. Calls raise botocore's errors."""

    def __init__(self, sqs: Any, *, source_url: str, url: str) -> None:
        self._sqs = sqs
        self._source_url = source_url
        self._url = url

    @classmethod
    def of(cls, sqs: Any, source_url: str) -> Self:
        """Find a queue's dead queue: where its redrive leads, and that one's, to the end.

        Raises:
            DeployError: It leads nowhere.
        """
        url = source_url
        while (name := redrive_target(_attributes(sqs, url, "RedrivePolicy"))) is not None:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        if url == source_url:
            raise DeployError(
                f"Queue {url} has no redrive policy, so there is no dead queue to read.", "Name a runtime's own queue."
            )
        return cls(sqs, source_url=source_url, url=url)

    @property
    def hidden(self) -> int:
        """About how many messages somebody else looks at just now."""
        return int(_attributes(self._sqs, self._url, "ApproximateNumberOfMessagesNotVisible").popitem()[1])

    def read(self) -> Iterator[DeadMessage]:
        """Read all messages; what was read is hidden until it is deleted or released."""
        while batch := self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=_WAIT_S,
            VisibilityTimeout=_HIDE_S,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=[CODE_ATTRIBUTE, REASON_ATTRIBUTE],
        ).get("Messages"):
            yield from map(_dead_message, batch)

    def send_back(self, delivery: TaskMessage, body: str) -> None:
        """Put a task into the runtime's queue, in its tenant's group as when it was first sent."""
        tenant = delivery.task.metadata.tenant
        group = {"MessageGroupId": tenant} if tenant else {}
        self._sqs.send_message(QueueUrl=self._source_url, MessageBody=body, **group)

    def delete(self, message: DeadMessage) -> None:
        """Remove a message."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)

    def release(self, message: DeadMessage) -> None:
        """Leave a message there, for others to see at once."""
        self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=0)


def _attributes(sqs: Any, url: str, name: str) -> dict[str, str]:
    attributes: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name]).get("Attributes", {})
    return attributes


def _dead_message(message: dict[str, Any]) -> DeadMessage:
    attributes = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
    sent_ms = int(message["Attributes"]["SentTimestamp"])
    try:
        delivery = read_message(message["Body"], message_id=message["MessageId"], sent_ms=sent_ms)
    except (NewerSchemaError, UnreadableMessageError):
        delivery = None
    return DeadMessage(
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent_s=sent_ms / 1000,
        code=attributes.get(CODE_ATTRIBUTE, ""),
        reason=attributes.get(REASON_ATTRIBUTE, ""),
        delivery=delivery,
    )
