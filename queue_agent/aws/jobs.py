"""The jobs table in DynamoDB."""

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from contract.notice import Notice
from contract.task import Task
from jobs import commands, queries
from jobs.beacon import Beacon, announce
from jobs.dynamodb import JobCommand
from jobs.job import AlreadyFinished, Claim, ClaimDenied, Job, JobChange, JobState, Progress, StoredOutput
from jobs.store import AsyncJobStore
from queue_agent.aws.clients import translated
from queue_agent.aws.queue import QueueMessage
from queue_agent.errors import LeaseLost

ClaimAnswer = Claim | ClaimDenied | AlreadyFinished


class DynamoJobs:
    """Who has which job, and what became of it; ``owner`` is the agent's name, for people who look at the table.

    All calls raise PlatformError when they fail; those about a claimed job raise LeaseLost once it is another agent's.
    """

    def __init__(self, dynamodb: Any, *, table: str, runtime: str, owner: str) -> None:
        self._jobs = AsyncJobStore(dynamodb, table)
        self._runtime = runtime
        self._owner = owner

    async def claim(
        self, task: Task, job: str, message: QueueMessage, *, lease_s: float, start_s: float
    ) -> ClaimAnswer:
        """Claim a job for ``lease_s``; should this agent vanish, it may wait ``start_s`` for another."""
        command = commands.claim(
            _submitted(task, message),
            job,
            runtime=self._runtime,
            owner=self._owner,
            token=str(uuid.uuid4()),
            now_s=time.time(),
            lease_s=lease_s,
            start_s=start_s,
        )
        with translated("dynamodb:UpdateItem"):
            return await self._jobs.run(command)

    async def renew(self, job: str, claim: Claim, *, lease_s: float, attempts: int, progress: Progress | None) -> bool:
        """Keep a job for another ``lease_s``; returns whether it must be cancelled."""
        until_s = time.time() + lease_s
        start_by_s = until_s + claim.start_s
        renewed = await self._own(
            commands.renew(
                job, claim.token, until_s=until_s, start_by_s=start_by_s, attempts=attempts, progress=progress
            )
        )
        return renewed.cancel_requested

    async def cancel_requested(self, job: str) -> bool:
        """Whether a job must be cancelled, from a read that may be a second old and costs half a read unit."""
        with translated("dynamodb:GetItem"):
            return await self._jobs.run(queries.cancel_requested(job))

    async def release(
        self, job: str, claim: Claim, *, attempts: int, blameless: bool, start_s: float, reason: str | None = None
    ) -> None:
        """Release a job; another agent may claim it at once and should within ``start_s``.

        ``reason`` tells its caller why this attempt has no result.
        """
        start_by_s = time.time() + start_s
        await self._own(
            commands.release(
                job,
                claim.token,
                runtime=self._runtime,
                attempts=attempts,
                is_blameless=blameless,
                start_by_s=start_by_s,
                priority=claim.priority,
                reason=reason,
            )
        )

    async def complete(
        self,
        job: str,
        claim: Claim,
        notice: Notice,
        *,
        attempts: int,
        stages_s: Mapping[str, float],
        outputs: Sequence[StoredOutput],
    ) -> None:
        """Write how a job has ended, and what its pictures are; only then is its notice sent."""
        await self._own(
            commands.complete(
                job,
                claim.token,
                JobState(notice.status),
                now_s=time.time(),
                attempts=attempts,
                pictures=[url.rpartition(".")[2] for url in notice.image_url],
                error=notice.error,
                stages_s=stages_s,
                outputs=outputs,
            )
        )

    async def notified(self, job: str) -> None:
        """Write that its notice was sent."""
        await self._own(commands.notified(job, time.time()))

    async def announce(self, *, ready: bool, devices: int, running: int, seconds: float | None) -> None:
        """Write this agent's beacon."""
        beacon = Beacon(
            owner=self._owner, ready=ready, devices=devices, running=running, seconds=seconds, seen_s=time.time()
        )
        with translated("dynamodb:UpdateItem"):
            await self._jobs.run(announce(self._runtime, beacon))

    async def _own(self, command: JobCommand[JobChange]) -> Job:
        """Change a job that this agent has; gives it as it is then."""
        with translated("dynamodb:UpdateItem"):
            change = await self._jobs.run(command)
        if not change.done or change.job is None:
            raise LeaseLost("Another agent has the job.")
        return change.job


def _submitted(task: Task, message: QueueMessage) -> Task:
    """The task with the moment it came: a foreign one, of which no door says it, by the queue's clock, not by ours."""
    if task.metadata.submitted_at is not None:
        return task
    sent_at = datetime.fromtimestamp(message.sent_ms / 1000, UTC)
    return task.model_copy(update={"metadata": task.metadata.model_copy(update={"submitted_at": sent_at})})
