"""Quick calls of the AWS services that speak JSON."""

import json
from typing import Any

from botocore import xform_name

from queue_agent.aws.quick_calls import QuickCalls


class JsonService:
    """SQS or DynamoDB: what is asked and answered is the same dictionary here and there."""

    def __init__(self, calls: QuickCalls) -> None:
        model = calls.client.meta.service_model
        self._calls = calls
        self._url = f"{calls.endpoint_url}/"
        self._target_prefix = model.metadata["targetPrefix"]
        self._headers = {"Content-Type": f"application/x-amz-json-{model.metadata['jsonVersion']}"}

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a call.

        Args:
            operation: Its name, as UpdateItem.
            parameters: As the service takes them; bytes and times, which JSON does not have, are not among them.

        Raises:
            ClientError: The service refuses it.
            BotoCoreError: The service is out of reach.
        """
        headers = {**self._headers, "X-Amz-Target": f"{self._target_prefix}.{operation}"}
        content = await self._calls.answer("POST", self._url, headers, json.dumps(parameters).encode())
        answer = None if content is None else _object_in(content)
        if answer is None:
            answer = await getattr(self._calls.client, xform_name(operation))(**parameters)
        return answer


def _object_in(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
