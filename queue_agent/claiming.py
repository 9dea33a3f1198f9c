"""Claims jobs; a claim that nobody waits for any more is undone."""

import asyncio
import logging
from dataclasses import dataclass

from contract.deadlines import Deadlines
from queue_agent.errors import LeaseLost, PlatformError
from queue_agent.message import Assignment
from queue_agent.ports import AlreadyFinished, Claim, ClaimDenied, Jobs, QueueMessage
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)

_UNDO_S = 2.0


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims jobs for this agent.

    Attributes:
        jobs: Who has which job.
    """

    jobs: Jobs

    async def take(
        self, message: QueueMessage, assignment: Assignment, *, deadlines: Deadlines, lease_s: float
    ) -> Claim | ClaimDenied | AlreadyFinished:
        """Claim a job; given up when the lease would have ended before it is granted.

        Raises:
            PlatformError: The table does not answer.
        """
        claiming = asyncio.create_task(
            self.jobs.claim(assignment.task, assignment.job, message, lease_s=lease_s, start_s=deadlines.start_s),
            name="claim",
        )
        try:
            async with asyncio.timeout(lease_s):
                return await asyncio.shield(claiming)
        except TimeoutError as exc:
            await uninterrupted(self._undo(claiming, assignment.job, deadlines))
            raise PlatformError("The jobs table did not answer before the lease would have ended.") from exc
        except asyncio.CancelledError:
            await uninterrupted(self._undo(claiming, assignment.job, deadlines))
            raise

    async def _undo(
        self, claiming: asyncio.Task[Claim | ClaimDenied | AlreadyFinished], job: str, deadlines: Deadlines
    ) -> None:
        """Hand a job back whose claim is under way: once granted it would keep others waiting."""
        try:
            async with asyncio.timeout(_UNDO_S):
                claim = await claiming
                if isinstance(claim, Claim):
                    attempts = claim.attempt - 1
                    await self.jobs.hand_back(job, claim, attempts=attempts, blameless=True, start_s=deadlines.start_s)
        except (PlatformError, LeaseLost, TimeoutError) as exc:
            logger.warning("the lease was not given back: %s", exc or "no answer in time")
