"""Calls of the AWS services that speak JSON, for about half of what the library takes over one."""

import json
from http import HTTPStatus
from typing import Any

from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError


class JsonService:
    """SQS or DynamoDB.

    A call is signed and sent by the library's parts, without its hooks, endpoint rules and shapes. One that is not
    answered with 200 and JSON is made anew by the library's client: errors, pauses and further tries are its alone.

    Args:
        client: The service's aiobotocore client, which has its endpoint, region and connections.
        credentials: The session's; they renew themselves.
    """

    def __init__(self, client: Any, credentials: Any) -> None:
        model = client.meta.service_model
        self._client = client
        self._credentials = credentials
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        self._scope = model.signing_name, client.meta.region_name
        self._target_prefix = model.metadata["targetPrefix"]
        self._headers = {
            "Content-Type": f"application/x-amz-json-{model.metadata['jsonVersion']}",
            "User-Agent": client.meta.config.user_agent,
        }
        # With its certificates, proxies and time limits; the client itself shows it to nobody.
        self._http = client._endpoint.http_session

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a call.

        Args:
            operation: Its name, as UpdateItem.
            parameters: As the service takes them; bytes and times, which JSON does not have, are not among them.

        Raises:
            ClientError: The service refuses it.
            BotoCoreError: The service is out of reach.
        """
        answer = await self._quick_answer(operation, parameters)
        if answer is None:
            answer = await getattr(self._client, xform_name(operation))(**parameters)
        return answer

    async def _quick_answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
        """What is answered in a first try; None where it takes the library to tell what that means."""
        headers = {**self._headers, "X-Amz-Target": f"{self._target_prefix}.{operation}"}
        request = AWSRequest("POST", self._url, headers, json.dumps(parameters).encode())
        try:
            SigV4Auth(await self._credentials.get_frozen_credentials(), *self._scope).add_auth(request)
            response = await self._http.send(request.prepare())
            content = await response.content
            answer = json.loads(content or b"{}") if response.status_code == HTTPStatus.OK else None
        except (BotoCoreError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None
