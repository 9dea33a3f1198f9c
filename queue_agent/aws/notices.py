"""The SNS topic of completion notices."""

from typing import Any

from contract.notice import Notice
from queue_agent.aws.clients import translated


async def publish(sns: Any, topic_arn: str, notice: Notice) -> None:
    """Send a notice to all subscribers."""
    with translated("sns:Publish"):
        await sns.publish(**notice.publication(topic_arn))
