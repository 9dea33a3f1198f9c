"""The jobs table in DynamoDB."""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from contract.notice import Notice
from contract.task import Task
from jobs.record import JobRecord, JobState
from jobs.requests import CLOCK_MARGIN_S, JobsTable
from queue_agent.aws.clients import error_code, translated
from queue_agent.aws.json_service import JsonService
from queue_agent.errors import LeaseLost
from queue_agent.ports import AlreadyFinished, Claim, ClaimDenied, QueueMessage

_REFUSED = "ConditionalCheckFailedException"


class DynamoJobs:
    """Jobs in a table.

    Args:
        dynamodb: The service.
        table: The table's name.
        runtime: The agent's runtime.
        owner: The agent's name, for people who look at the table.
    """

    def __init__(self, dynamodb: JsonService, *, table: str, runtime: str, owner: str) -> None:
        self._dynamodb = dynamodb
        self._table = JobsTable(table)
        self._runtime = runtime
        self._owner = owner

    async def claim(
        self,
        task: Task,
        job: str,
        message: QueueMessage,
        *,
        lease_s: float,
        start_s: float,
    ) -> Claim | ClaimDenied | AlreadyFinished:
        """Take a job for ``lease_s``; should this agent vanish, it may wait ``start_s`` for another."""
        token, now_s = str(uuid.uuid4()), time.time()
        request = self._table.claim(
            _submitted(task, message),
            job,
            runtime=self._runtime,
            owner=self._owner,
            token=token,
            now_s=now_s,
            lease_s=lease_s,
            start_s=start_s,
        )
        with translated("dynamodb:UpdateItem"):
            try:
                answer = await self._dynamodb.call("UpdateItem", **request)
            except ClientError as exc:
                if error_code(exc) != _REFUSED or "Item" not in exc.response:
                    raise
                item = exc.response["Item"]
            else:
                item = answer["Attributes"]
        record = JobRecord.from_item(item)
        if record.state.is_final:
            return AlreadyFinished(record)
        if not _bears(item, token):
            return ClaimDenied(record.lease_left_s(now_s) + CLOCK_MARGIN_S)
        return Claim(
            token=token,
            number=record.claims,
            attempt=record.attempts + 1,
            generation=record.generation,
            start_by_s=record.created_s + start_s if record.start_by_s is None else record.start_by_s,
            start_s=start_s,
            cancel_requested=record.cancel_requested,
        )

    async def renew(self, job: str, claim: Claim, *, lease_s: float, attempts: int, progress: float | None) -> bool:
        """Keep a job for another ``lease_s``; returns whether it is to be cancelled."""
        until_s = time.time() + lease_s
        answer = await self._update(
            self._table.renew(
                job,
                claim.token,
                until_s=until_s,
                start_by_s=until_s + claim.start_s,
                attempts=attempts,
                progress=progress,
            )
        )
        return JobRecord.from_item(answer["Attributes"]).cancel_requested

    async def hand_back(self, job: str, claim: Claim, *, attempts: int, blameless: bool, start_s: float) -> None:
        """Let go of a job; another agent may take it at once and should within ``start_s``."""
        start_by_s = time.time() + start_s
        await self._update(
            self._table.hand_back(job, claim.token, attempts=attempts, hand_backs=int(blameless), start_by_s=start_by_s)
        )

    async def finish(
        self, job: str, claim: Claim, notice: Notice, *, attempts: int, stages_s: Mapping[str, float]
    ) -> None:
        """Note how a job has ended; only then is its notice sent."""
        await self._update(
            self._table.finish(
                job,
                claim.token,
                JobState(notice.status),
                now_s=time.time(),
                attempts=attempts,
                pictures=[url.rpartition(".")[2] for url in notice.image_url],
                error=notice.error,
                stages_s=stages_s,
            ),
            claim,
        )

    async def notified(self, job: str) -> None:
        """Note that its notice was sent."""
        await self._update(self._table.notified(job, time.time()))

    async def _update(self, request: dict[str, Any], ended_by: Claim | None = None) -> dict[str, Any]:
        """Update a job; an update that ends it may have been done although its first answer was lost."""
        with translated("dynamodb:UpdateItem"):
            try:
                answer = await self._dynamodb.call("UpdateItem", **request)
            except ClientError as exc:
                if error_code(exc) != _REFUSED:
                    raise
                if ended_by is None or not _bears(exc.response.get("Item", {}), ended_by.token):
                    raise LeaseLost("Another agent has the job.") from exc
                answer = {}
            return answer


def _bears(item: Mapping[str, Any], token: str) -> bool:
    """Whether an item bears a claim's token, which no two claims share: an update's answer may have been lost."""
    return bool(item.get("lease_token") == {"S": token})


def _submitted(task: Task, message: QueueMessage) -> Task:
    """The task with the moment it came: a foreign one, of which no door says it, by the queue's clock, not by ours."""
    if task.metadata.submitted_at is not None:
        return task
    sent_at = datetime.fromtimestamp(message.sent_ms / 1000, UTC)
    return task.model_copy(update={"metadata": task.metadata.model_copy(update={"submitted_at": sent_at})})
