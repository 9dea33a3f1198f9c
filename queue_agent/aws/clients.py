"""Opens the AWS clients and translates their errors."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header
from botocore.parsers import ResponseParserError

from jobs.dynamodb import error_code
from queue_agent.errors import PlatformError

_CONFIG = AioConfig(
    connect_timeout=5,
    read_timeout=30,  # above the long poll's 20 s
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
    # What follows saves half of each call's processor time: TLS guards the bodies, the calls' shapes are in the code,
    # and a fixed name is not composed twice a call.
    user_agent="sd-on-eks-queue-agent",
    parameter_validation=False,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@asynccontextmanager
async def open_clients(region: str | None) -> AsyncIterator[Any]:
    """Open the clients sqs, sns, s3 and dynamodb as AWS's environment says; PlatformError without credentials."""
    session = get_session()
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(session.create_client(name, region_name=region, config=_CONFIG))
            for name in ("sqs", "sns", "s3", "dynamodb")
        }
        # With it, each body would first ask S3 whether it may be sent: one more round trip for each picture.
        clients["s3"].meta.events.unregister("before-call.s3", add_expect_header)
        if await session.get_credentials() is None:
            raise PlatformError("There are no AWS credentials.")
        yield SimpleNamespace(**clients)


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn what the AWS library raises into a PlatformError that names the operation and AWS's code."""
    try:
        yield
    except ClientError as exc:
        raise PlatformError(f"{operation} failed: {error_code(exc)}") from exc
    except (BotoCoreError, ResponseParserError, aiohttp.ClientError, TimeoutError) as exc:
        raise PlatformError(f"{operation} failed: {type(exc).__name__}") from exc
