"""Runs a prepared job on the executor: in its slot, within its deadline, and stopped when nobody waits for it."""

import asyncio
import logging
from dataclasses import dataclass

from queue_agent.errors import AgentError, DeadlineExceeded, ServerError, TaskError
from queue_agent.job_context import JobContext
from queue_agent.lease import Lease
from queue_agent.ports import Executor, PreparedTask, Result, RunSignals, Supervised
from queue_agent.server_monitor import ServerMonitor
from queue_agent.telemetry.recorder import Recorder
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Execution:
    """The model server: what runs jobs on it, reports their progress, watches it, and measures how busy it is."""

    executor: Executor
    server: Supervised
    monitor: ServerMonitor
    telemetry: Recorder

    async def run(self, job: JobContext, lease: Lease, prepared: PreparedTask) -> Result:
        """Wait for the job's turn and run it.

        A job that is cancelled or too slow is stopped on the server before the next one gets its turn: SD WebUI's
        interrupt hits whatever runs. Raises what ``Executor.run`` raises, and DeadlineExceeded.
        """
        limit = asyncio.timeout(None)
        limit_s = self.executor.queue_s + job.deadlines.execution_s

        def started(batch: int | None = None) -> None:
            job.slot.started(batch)
            lease.attempt_started()
            self.monitor.job_began(job.id, job.slot.remaining_s)
            self.telemetry.gpu.began(job.id)
            limit.reschedule(asyncio.get_running_loop().time() + limit_s)

        def freed() -> None:
            job.slot.freed()
            self.telemetry.gpu.ended(job.id)

        with job.stage("wait"):
            await job.slot.take_turn()
        answered = False
        try:
            with job.stage("run"):
                async with limit:
                    self.monitor.job_started(job.id, stall_s=job.deadlines.stall_s)
                    signals = RunSignals(started, freed)
                    result = await self.executor.run(prepared, job.id, lease.claim.number, signals)
        except TaskError:
            answered = True
            raise
        except AgentError:
            raise
        except (Exception, asyncio.CancelledError) as exc:
            # Whatever a driver did not expect, nobody waits for the job any longer.
            await self._interrupt(job, lease)
            if limit.expired():
                raise DeadlineExceeded(f"The job took longer than {limit_s:g} s.") from exc
            if isinstance(exc, Exception):
                raise _server_error(exc) from exc
            raise
        else:
            answered = True
            job.slot.succeeded()
            return result
        finally:
            self.monitor.job_ended(job.id, answered=answered)
            self.telemetry.gpu.ended(job.id)
            lease.attempt_ended()
            job.slot.end_turn()

    async def _interrupt(self, job: JobContext, lease: Lease) -> None:
        try:
            await uninterrupted(self.executor.interrupt(job.id, lease.claim.number))
        except AgentError:
            logger.warning("the job could not be interrupted on the model server")


def _server_error(exc: Exception) -> ServerError:
    """What the driver did not expect: a response that never came, or that it cannot read."""
    if isinstance(exc, TimeoutError):
        return ServerError("The model server did not answer in time.")
    logger.error("the model server's answer cannot be read", exc_info=exc)
    return ServerError(f"The model server's answer cannot be read ({type(exc).__name__}).")
