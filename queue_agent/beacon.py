"""Reports to the jobs table, every minute, whether this agent takes jobs and how fast it is.

The API uses it to estimate when a job will start. It costs two table writes a minute, one of them in an
index: some five cents a month for an agent that never stops.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from queue_agent.aws.jobs import DynamoJobs
from queue_agent.errors import PlatformError
from queue_agent.ports import Supervised
from queue_agent.scheduler.slots import Scheduler

logger = logging.getLogger(__name__)

_WRITE_TIMEOUT_S = 5.0
_CLOSE_S = 2.0
_LOOKS = 12


class AgentBeacon:
    """Writes the agent's beacon while the context lasts; the last one says that the agent takes no more jobs.

    It is written at the start, every ``interval_s``, and within a twelfth of ``interval_s`` after the model server
    becomes ready or is lost, or its first job has ended: the number of pods depends on what a job takes. No job waits
    for it or fails because of it.

    Args:
        is_ready: Whether the model server takes jobs.
    """

    def __init__(
        self,
        jobs: DynamoJobs,
        *,
        server: Supervised,
        scheduler: Scheduler,
        is_ready: Callable[[], bool],
        interval_s: float = 60,
    ) -> None:
        self._jobs = jobs
        self._server = server
        self._scheduler = scheduler
        self._is_ready = is_ready
        self._interval_s = interval_s
        self._is_failing = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._repeat(), name="beacon")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self.write(ready=False, timeout_s=_CLOSE_S)

    async def _repeat(self) -> None:
        while True:
            ready, knows_jobs = self._is_ready(), self._knows_jobs
            await self.write(ready=ready)
            for _ in range(_LOOKS):
                await asyncio.sleep(self._interval_s / _LOOKS)
                if self._is_ready() != ready or self._knows_jobs != knows_jobs:
                    break

    @property
    def _knows_jobs(self) -> bool:
        return self._scheduler.forecast.seconds_a_job is not None

    async def write(self, *, ready: bool, timeout_s: float = _WRITE_TIMEOUT_S) -> None:
        """Write the beacon once."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._jobs.announce(
                    ready=ready,
                    devices=self._server.capacity.devices,
                    running=self._scheduler.jobs,
                    seconds=self._scheduler.forecast.seconds_a_job,
                )
        except (PlatformError, TimeoutError) as exc:
            if not self._is_failing:
                logger.warning("the agent's beacon was not written: %s", str(exc) or "no answer in time")
            self._is_failing = True
        except Exception:
            # A driver may report any capacity. Without a beacon, only estimates are missing.
            logger.exception("the agent's beacon was not written")
        else:
            self._is_failing = False
