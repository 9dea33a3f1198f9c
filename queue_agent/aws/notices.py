"""The SNS topic of notices."""

from typing import Any

from contract.notice import RESULT_ATTRIBUTE, Notice
from contract.task import RUNTIME_ATTRIBUTE
from queue_agent.aws.clients import translated


class SnsNotices:
    """A topic; ``runtime`` and ``result`` travel as attributes for subscribers that filter."""

    def __init__(self, sns: Any, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    async def publish(self, notice: Notice) -> None:
        """Send a notice to all who subscribed."""
        attributes = {RUNTIME_ATTRIBUTE: notice.runtime, RESULT_ATTRIBUTE: str(notice.result).lower()}
        with translated("sns:Publish"):
            await self._sns.publish(
                TopicArn=self._topic_arn,
                Message=notice.to_message(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
