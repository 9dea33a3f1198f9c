"""AWS calls made of the library's parts, for about half of what the library takes over one."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import urlsplit

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.exceptions import BotoCoreError

logger = logging.getLogger(__name__)

_NOTHING: Mapping[str, str] = {}


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
        required: Mapping[str, str] = _NOTHING,
    ) -> bytes | None:
        """The content of what is answered in a first try; None where it takes the library to tell what that means.

        Args:
            method: HTTP method.
            url: Below the service's endpoint, or what stands for it.
            headers: Beside those that every request has.
            body: A file where it may be large: bytes are written in one go, and hold everybody else up.
            max_bytes: An answer that by its Content-Length is larger is not read.
            required: Headers without which an answer is not read.

        Raises:
            ClientError: The keys' source refuses new ones.
        """
        try:
            response = await self._http.send(await self._signed(method, url, headers, body))
            misses = any(response.headers.get(name) != value for name, value in required.items())
            if misses or int(response.headers.get("content-length", 0)) > max_bytes:
                response.raw.close()
                return None
            content: bytes = await response.content
        except (BotoCoreError, aiohttp.ClientError, ValueError) as exc:
            logger.debug("a call is left to the library: %s", type(exc).__name__)
            return None
        if response.status_code != HTTPStatus.OK:
            logger.debug("a call is left to the library: %d", response.status_code)
            return None
        return content

    async def _signed(
        self, method: str, url: str, headers: dict[str, str], body: bytes | IO[bytes]
    ) -> AWSPreparedRequest:
        # Named here, the host is not reckoned in three ways, for a third of what signing takes.
        named = {**headers, "Host": urlsplit(url).netloc, "User-Agent": self._user_agent}
        request = AWSRequest(method, url, named, body, stream_output=True)  # else the answer is read at once
        credentials = await self._credentials.get_frozen_credentials()
        self._signature(credentials, *self._scope).add_auth(request)
        return request.prepare()
