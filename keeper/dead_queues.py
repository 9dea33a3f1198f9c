"""The dead queues: where messages stay that nobody can do."""

from typing import Any

from contract.queues import dead_letter, redrive_target


class NoDeadQueueError(Exception):
    """The queue of returned messages leads nowhere: its messages stay in it."""


class DeadQueues:
    """The dead queue of each queue of returned messages: the one where the latter's own redrive leads.

    Args:
        sqs: A botocore client.
    """

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs
        self._urls: dict[str, str] = {}

    def keep(self, source_arn: str, body: str, code: str, reason: str) -> None:
        """Put a message into the dead queue, with the reason as attributes.

        Args:
            source_arn: The queue that returned it.
            body: The message.
            code: Why, in one word.
            reason: Why, in a sentence.

        Raises:
            NoDeadQueueError: There is none.
            botocore.exceptions.BotoCoreError, ClientError: SQS did not take it.
        """
        if source_arn not in self._urls:
            self._urls[source_arn] = self._look_up(source_arn)
        self._sqs.send_message(QueueUrl=self._urls[source_arn], **dead_letter(body, code, reason))

    def _look_up(self, source_arn: str) -> str:
        url = self._sqs.get_queue_url(QueueName=source_arn.rpartition(":")[2])["QueueUrl"]
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        name = redrive_target(answer.get("Attributes", {}))
        if name is None:
            raise NoDeadQueueError(f"Queue {source_arn} has no redrive policy.")
        return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])
