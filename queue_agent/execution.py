"""Runs a prepared job on the model server, in its turn and within its deadlines."""

import asyncio
import logging
from dataclasses import dataclass

from contract.deadlines import Deadlines
from queue_agent.errors import AgentError, DeadlineExceeded, ServerError, TaskError
from queue_agent.lease import Lease
from queue_agent.line import Place
from queue_agent.ports import Executor, PreparedTask, Result, RunSignals, Supervised, Telemetry
from queue_agent.server_monitor import ServerMonitor
from queue_agent.stages import Stages
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Execution:
    """Runs jobs.

    Attributes:
        executor: Runs them.
        server: Knows how far they are.
        watch: Is told when the server gets a job and when it is rid of it.
        telemetry: Is told when the GPU works.
    """

    executor: Executor
    server: Supervised
    watch: ServerMonitor
    telemetry: Telemetry

    async def run(
        self, prepared: PreparedTask, job: str, *, lease: Lease, place: Place, deadlines: Deadlines, stages: Stages
    ) -> Result:
        """Run a job in its turn; one that is no longer waited for is stopped in the server too.

        The turn is kept until it is stopped: SD WebUI's interrupt hits whatever runs.

        Raises:
            TaskError: The server refuses the job or fails in it, or it took too long.
            ServerError: The server is lost or answers nonsense.
        """
        limit = asyncio.timeout(None)

        def started(batch: int | None = None) -> None:
            place.started(batch)
            lease.begin()
            self.watch.job_began(job, place.remaining_s)
            self.telemetry.gpu_began(job)
            limit.reschedule(asyncio.get_running_loop().time() + deadlines.execution_s)

        def freed() -> None:
            place.freed()
            self.telemetry.gpu_ended(job)

        with stages("wait"):
            await place.take_turn()
        claim = lease.claim.number
        answered = False
        try:
            with stages("run"):
                async with limit:
                    self.watch.job_started(job, stall_s=deadlines.stall_s)
                    result = await self.executor.run(prepared, job, claim, RunSignals(started, freed))
        except TaskError:
            answered = True
            raise
        except AgentError:
            raise
        except (Exception, asyncio.CancelledError) as exc:
            await self._interrupt(job, claim)
            if limit.expired():
                raise DeadlineExceeded(f"The job took longer than {deadlines.execution_s:g} s.") from exc
            if isinstance(exc, Exception):
                raise _fault_of(exc) from exc
            raise
        else:
            answered = True
            place.succeeded()
            return result
        finally:
            self.watch.job_ended(job, answered=answered)
            self.telemetry.gpu_ended(job)
            lease.left_server()
            place.end_turn()

    async def _interrupt(self, job: str, claim: int) -> None:
        try:
            await uninterrupted(self.executor.interrupt(job, claim))
        except AgentError:
            logger.warning("the job could not be interrupted in the model server")


def _fault_of(exc: Exception) -> ServerError:
    """What a driver did not foresee is an answer that never came, or that it cannot read."""
    if isinstance(exc, TimeoutError):
        return ServerError("The model server did not answer in time.")
    logger.error("the model server's answer cannot be read", exc_info=exc)
    return ServerError(f"The model server's answer cannot be read ({type(exc).__name__}).")
