"""A temporary queue that hears every notice of a platform."""

import json
import secrets
from contextlib import ExitStack
from typing import Self

from pydantic import ValidationError

from contract.notice import Notice
from deploy.verify.target import Target

_RETENTION_S = 3600
_WAIT_S = 1
"""One long poll; short, so that a waiting caller can be stopped."""


class NoticeQueue:
    """Subscribed to the notice topic while the context is open, deleted afterwards."""

    def __init__(self, target: Target) -> None:
        self._topic_arn = target.notice_topic_arn
        self._sqs = target.client("sqs")
        self._sns = target.client("sns")
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            name, retention = f"sd-on-eks-test-{secrets.token_hex(4)}", {"MessageRetentionPeriod": str(_RETENTION_S)}
            self._url = self._sqs.create_queue(QueueName=name, Attributes=retention)["QueueUrl"]
            undo.callback(self._sqs.delete_queue, QueueUrl=self._url)
            attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
            arn = attributes["Attributes"]["QueueArn"]
            from_topic = {"ArnEquals": {"aws:SourceArn": self._topic_arn}}
            allowed = {"Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
            statement = {"Effect": "Allow", **allowed, "Condition": from_topic}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
            subscribed = self._sns.subscribe(
                TopicArn=self._topic_arn, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
            )
            undo.callback(self._sns.unsubscribe, SubscriptionArn=subscribed["SubscriptionArn"])
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def receive(self) -> list[Notice]:
        """Wait up to a second for notices; those of other tasks are among them."""
        answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_S)
        messages = answer.get("Messages", [])
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        return [notice for message in messages if (notice := _read(message["Body"])) is not None]


def _read(body: str) -> Notice | None:
    """Read the SNS envelope; None when somebody published something else to the topic."""
    try:
        return Notice.model_validate_json(json.loads(body)["Message"])
    except (ValidationError, ValueError, KeyError, TypeError):
        return None
