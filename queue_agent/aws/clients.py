"""Makes the AWS clients and translates what they raise."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from queue_agent.errors import PlatformFault

_CONFIG = AioConfig(
    connect_timeout=5,
    read_timeout=30,  # above the long poll's 20 s
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
    # What follows saves a third of each call's CPU: TLS guards the bodies, and the calls' shapes are in the code.
    parameter_validation=False,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@dataclass(frozen=True, slots=True)
class AwsClients:
    """The clients of one agent."""

    sqs: Any
    sns: Any
    s3: Any
    dynamodb: Any | None


@asynccontextmanager
async def open_clients(region: str | None, *, with_dynamodb: bool) -> AsyncIterator[AwsClients]:
    """Open the clients; credentials and endpoint come from the usual AWS environment."""
    names = ("sqs", "sns", "s3", *(["dynamodb"] if with_dynamodb else []))
    session = get_session()
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(session.create_client(name, region_name=region, config=_CONFIG))
            for name in names
        }
        yield AwsClients(clients["sqs"], clients["sns"], clients["s3"], clients.get("dynamodb"))


def error_code(error: ClientError) -> str:
    """AWS's code of an error, as NoSuchKey."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn what the AWS library raises into a PlatformFault that names the operation and AWS's code."""
    try:
        yield
    except ClientError as exc:
        raise PlatformFault(f"{operation} failed: {error_code(exc)}") from exc
    except (BotoCoreError, ResponseParserError, aiohttp.ClientError, TimeoutError) as exc:
        raise PlatformFault(f"{operation} failed: {type(exc).__name__}") from exc
