"""A client of a managed service of AWS, and what its errors mean for a job."""

import asyncio
import logging
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as AwsConnectionError

from jobs.dynamodb import error_code
from queue_agent.errors import (
    AgentError,
    ExecutionFailed,
    PlatformError,
    Rejected,
    ServerError,
    ServiceAway,
    ServiceRefused,
    Throttled,
)

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Of an answer with its pictures: a service may send one for ever."""
_CHUNK_BYTES = 1024 * 1024
_CONNECT_TIMEOUT_S = 10
_CONNECTIONS = 1000
"""No limit of its own: the runtime's concurrency is the limit."""
_THROTTLED = frozenset({"ThrottlingException", "ModelNotReadyException", "ServiceQuotaExceededException"})
"""By code: a quota that is used up has status 400 (botocore's model of bedrock-runtime)."""
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


class ManagedService:
    """A service's client, opened by the first call. It never repeats a call by itself, because each is paid for.

    Attributes:
        name: The service in botocore, as bedrock-runtime.
        region: Where to call it; None for the environment's.
    """

    def __init__(self, name: str, *, region: str | None, read_timeout_s: float) -> None:
        self.name = name
        self.region = region
        self._config = AioConfig(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            max_pool_connections=_CONNECTIONS,
            retries={"total_max_attempts": 1},
        )
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Call an operation by its name in Python.

        Raises:
            ClientError: The service rejects the call; ``error_of`` says what that means.
            ServiceAway: It cannot be reached.
            ServerError: It does not answer in time.
        """
        try:
            async with self._opening:
                if self._client is None:
                    client = get_session().create_client(self.name, region_name=self.region, config=self._config)
                    self._client = await self._stack.enter_async_context(client)
            return await getattr(self._client, operation)(**arguments)
        except (AwsConnectionError, NoCredentialsError) as exc:
            raise ServiceAway(f"{self.name} cannot be reached ({type(exc).__name__}).") from exc
        except BotoCoreError as exc:
            raise ServerError(f"{self.name} did not answer ({type(exc).__name__}).") from exc

    async def aclose(self) -> None:
        """Close the client, if there is one."""
        await self._stack.aclose()


async def read_body(body: Any, service: str, max_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """Read the body of a service's answer.

    Raises:
        ExecutionFailed: It is larger than ``max_bytes``.
        ServerError: It does not arrive whole.
    """
    read = bytearray()
    try:
        async with body as stream:
            while chunk := await stream.read(_CHUNK_BYTES):
                read += chunk
                if len(read) > max_bytes:
                    raise ExecutionFailed(f"The answer of {service} is larger than {max_bytes >> 20} MiB.")
    except (BotoCoreError, aiohttp.ClientError, TimeoutError) as exc:
        raise ServerError(f"{service} did not answer to the end ({type(exc).__name__}).") from exc
    return bytes(read)


class ServiceAnswer(NamedTuple):
    """An error as a service answers it: its code, its words (the code again where it has none) and HTTP's status."""

    code: str
    words: str
    status: int

    @classmethod
    def of(cls, exc: ClientError) -> Self:
        """Read an error; the status is 0 where it has none."""
        code, words = error_code(exc), str(exc.response.get("Error", {}).get("Message", ""))
        return cls(code, words or code, int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)))


def error_of(exc: ClientError) -> AgentError:
    """What a service's error means for the job: whose fault it is, and whether another attempt may succeed.

    The words of one that is the operator's fault go to the log alone: they name accounts and roles, and callers read
    the error.
    """
    code, words, status = ServiceAnswer.of(exc)
    if code in _EXPIRED:
        return PlatformError(f"The agent's credentials have expired ({code}).")
    if code in _THROTTLED or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(f"The service takes no more calls now ({code}).")
    if status in _REFUSED:
        logger.error("the service refuses the call: %s: %s", code, words)
        return ServiceRefused(f"The service refuses the agent's call ({code}); the agent's log has its words.")
    if status == HTTPStatus.BAD_REQUEST:
        return Rejected(words)
    return ServerError(f"{code}: {words}")
