"""AWS calls made of the library's parts, for about half of what the library takes over one."""

import math
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import urlsplit

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError


class QuickCalls:
    """Calls of one service that need none of the library's hooks, endpoint rules and shapes.

    Only what is answered with 200 is taken. All else, no answer included, is the library's: its client makes the call
    anew, and errors, pauses and further tries are its alone.

    Args:
        client: The service's aiobotocore client, which has its endpoint, region and connections.
        credentials: The session's; they renew themselves.
        signature: How the service wants its requests signed.

    Attributes:
        client: The library's client.
        endpoint_url: The service's, without a slash at its end.
    """

    def __init__(self, client: Any, credentials: Any, signature: type[SigV4Auth] = SigV4Auth) -> None:
        self.client = client
        self.endpoint_url = str(client.meta.endpoint_url).rstrip("/")
        self._credentials = credentials
        self._signature = signature
        self._scope = client.meta.service_model.signing_name, client.meta.region_name
        self._user_agent = client.meta.config.user_agent
        # With its certificates, proxies and time limits; the client itself shows it to nobody.
        self._http = client._endpoint.http_session

    async def answer(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | IO[bytes] = b"",
        *,
        max_bytes: float = math.inf,
    ) -> bytes | None:
        """The content of what is answered in a first try; None where it takes the library to tell what that means.

        Args:
            method: HTTP method.
            url: Below the service's endpoint, or what stands for it.
            headers: Beside those that every request has.
            body: A file where it may be large: bytes are written in one go, and hold everybody else up.
            max_bytes: A larger answer is not read.
        """
        # Named here, as it would be reckoned in three ways otherwise, for a third of what signing takes.
        host = {"Host": urlsplit(url).netloc}
        request = AWSRequest(method, url, {**headers, **host, "User-Agent": self._user_agent}, body)
        try:
            credentials = await self._credentials.get_frozen_credentials()
            self._signature(credentials, *self._scope).add_auth(request)
            response = await self._http.send(request.prepare())
            if int(response.headers.get("content-length", 0)) > max_bytes:
                response.raw.close()
                return None
            content: bytes = await response.content
        except (BotoCoreError, aiohttp.ClientError, ValueError):
            return None
        return content if response.status_code == HTTPStatus.OK else None
