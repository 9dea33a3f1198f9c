"""What AWS says of a runtime's work: how many tasks its queues hold, and what its agents report."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientError as HttpError

from jobs.beacon import FRESH_S, REMEMBERED_S, Servers
from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.store import AsyncJobStore
from scaler.demand import Reading
from scaler.settings import ScalerSettings

BEACONS_KEPT_S = 15.0
"""How long a reading of the agents' reports serves. They write one a minute."""
_REPORTS_S = 2.0
_READ_S = 2.5
"""KEDA waits for an answer for 3 seconds (KEDA_HTTP_DEFAULT_TIMEOUT, KEDA 2.21)."""
_CONFIG = AioConfig(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=200,  # runtimes must not wait for each other's calls
)
_DEPTH = {"visible": "ApproximateNumberOfMessages", "in_flight": "ApproximateNumberOfMessagesNotVisible"}


class ReadingError(Exception):
    """A queue or the table cannot be read; the message names the call and AWS's code."""


class RuntimeReadings:
    """Reads one runtime, only when it is asked to."""

    def __init__(self, sqs: Any, jobs: AsyncJobStore, *, runtime: str, queue_urls: Sequence[str]) -> None:
        self._sqs = sqs
        self._jobs = jobs
        self._runtime = runtime
        self._queue_urls = queue_urls
        self._servers: Servers | None = None
        self._servers_until_s = 0.0

    async def read(self) -> Reading:
        """Read the queues now, and the agents' reports unless that was done a moment ago.

        While the reports cannot be read, the last ones serve for as long as agents count as there without a new one.

        Raises:
            ReadingError: AWS refuses, does not answer in time, or the queue does not exist.
        """
        try:
            async with asyncio.timeout(_READ_S), asyncio.TaskGroup() as group:
                depths = [group.create_task(self._depth(url)) for url in self._queue_urls]
                servers = group.create_task(self._read_servers())
        except* ReadingError as exc:
            raise exc.exceptions[0] from None
        except* TimeoutError:
            raise ReadingError(f"AWS has not answered within {_READ_S} s") from None
        seen = servers.result()
        return Reading(
            at_s=time.monotonic(),
            visible=sum(depth.result()["visible"] for depth in depths),
            in_flight=sum(depth.result()["in_flight"] for depth in depths),
            ready=seen.ready,
            devices=seen.devices,
            job_s=seen.seconds,
        )

    async def _depth(self, url: str) -> Mapping[str, int]:
        try:
            answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[*_DEPTH.values()])
        except (*AWS_ERRORS, HttpError) as exc:
            raise ReadingError(f"sqs:GetQueueAttributes failed: {error_name(exc)}") from exc
        return {name: int(answer["Attributes"][attribute]) for name, attribute in _DEPTH.items()}

    async def _read_servers(self) -> Servers:
        if self._servers is None or time.monotonic() >= self._servers_until_s:
            now_s = time.time()
            try:
                async with asyncio.timeout(_REPORTS_S):
                    beacons = await self._jobs.beacons(self._runtime, now_s, kept_s=REMEMBERED_S)
            except (*AWS_ERRORS, HttpError, TimeoutError) as exc:
                if self._servers is not None and time.monotonic() < self._servers_until_s + FRESH_S:
                    return self._servers
                raise ReadingError(f"dynamodb:Query failed: {error_name(exc)}") from exc
            self._servers = Servers.of(beacons, now_s, kept_s=REMEMBERED_S)
            self._servers_until_s = time.monotonic() + BEACONS_KEPT_S
        return self._servers


@asynccontextmanager
async def open_readings(settings: ScalerSettings) -> AsyncIterator[Mapping[str, RuntimeReadings]]:
    """Readings of each runtime, by name, with clients that are closed with the context."""
    session = get_session()
    async with AsyncExitStack() as stack:
        sqs, dynamodb = [
            await stack.enter_async_context(session.create_client(service, config=_CONFIG))
            for service in ("sqs", "dynamodb")
        ]
        jobs = AsyncJobStore(dynamodb, settings.jobs_table)
        yield {
            runtime: RuntimeReadings(sqs, jobs, runtime=runtime, queue_urls=urls)
            for runtime, urls in settings.queues.items()
        }
