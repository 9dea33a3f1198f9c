"""Makes the AWS clients and translates what they raise."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.auth import S3SigV4Auth
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header
from botocore.parsers import ResponseParserError

from queue_agent.aws.json_service import JsonService
from queue_agent.aws.quick_calls import QuickCalls
from queue_agent.errors import PlatformError

_CONFIG = AioConfig(
    connect_timeout=5,
    read_timeout=30,  # above the long poll's 20 s
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
    # What follows saves half of each call's CPU: TLS guards the bodies, and the calls' shapes are in the code. A name
    # of our own is not put together anew, twice a call, from what the library knows of its surroundings.
    user_agent="sd-on-eks-queue-agent",
    parameter_validation=False,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@dataclass(frozen=True, slots=True)
class AwsClients:
    """The clients of one agent."""

    sqs: JsonService
    sns: QuickCalls
    s3: QuickCalls
    dynamodb: JsonService


@asynccontextmanager
async def open_clients(region: str | None) -> AsyncIterator[AwsClients]:
    """Open the clients; credentials and endpoint come from the usual AWS environment.

    Raises:
        PlatformError: There are no credentials.
    """
    names = ("sqs", "sns", "s3", "dynamodb")
    session = get_session()
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(session.create_client(name, region_name=region, config=_CONFIG))
            for name in names
        }
        # With every body it would first ask S3 whether it may send it: a round trip more for each picture.
        clients["s3"].meta.events.unregister("before-call.s3", add_expect_header)
        credentials = await session.get_credentials()
        if credentials is None:
            raise PlatformError("There are no AWS credentials.")
        yield AwsClients(
            sqs=JsonService(QuickCalls(clients["sqs"], credentials)),
            sns=QuickCalls(clients["sns"], credentials),
            s3=QuickCalls(clients["s3"], credentials, S3SigV4Auth),
            dynamodb=JsonService(QuickCalls(clients["dynamodb"], credentials)),
        )


def error_code(error: ClientError) -> str:
    """AWS's code of an error, as NoSuchKey."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn what the AWS library raises into a PlatformError that names the operation and AWS's code."""
    try:
        yield
    except ClientError as exc:
        raise PlatformError(f"{operation} failed: {error_code(exc)}") from exc
    except (BotoCoreError, ResponseParserError, aiohttp.ClientError, TimeoutError) as exc:
        raise PlatformError(f"{operation} failed: {type(exc).__name__}") from exc
