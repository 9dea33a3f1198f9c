"""The SNS topic of notices."""

from typing import Any
from urllib.parse import urlencode

from contract.notice import Notice
from queue_agent.aws.clients import translated
from queue_agent.aws.quick_calls import QuickCalls

_FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class SnsNotices:
    """A topic."""

    def __init__(self, sns: QuickCalls, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._action = {"Action": "Publish", "Version": sns.client.meta.service_model.api_version}

    async def publish(self, notice: Notice) -> None:
        """Send a notice to all who subscribed."""
        publication = notice.publication(self._topic_arn)
        form = urlencode({**self._action, **_query(publication)}).encode()
        with translated("sns:Publish"):
            if await self._sns.answer("POST", f"{self._sns.endpoint_url}/", _FORM, form) is None:
                await self._sns.client.publish(**publication)


def _query(publication: dict[str, Any]) -> dict[str, str]:
    """A publication as SNS's query protocol has it."""
    query = {"TopicArn": publication["TopicArn"], "Message": publication["Message"]}
    for number, (name, value) in enumerate(publication["MessageAttributes"].items(), start=1):
        entry = f"MessageAttributes.entry.{number}"
        query |= {f"{entry}.Name": name, **{f"{entry}.Value.{key}": text for key, text in value.items()}}
    return query
