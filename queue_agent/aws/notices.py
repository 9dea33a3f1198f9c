"""The SNS topic of completion notices."""

from typing import Any

from contract.notice import Notice
from queue_agent.aws.clients import translated


class SnsNotices:
    """A topic.

    Args:
        sns: The client.
        topic_arn: The topic.
    """

    def __init__(self, sns: Any, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    async def publish(self, notice: Notice) -> None:
        """Send a notice to all subscribers."""
        with translated("sns:Publish"):
            await self._sns.publish(**notice.publication(self._topic_arn))
