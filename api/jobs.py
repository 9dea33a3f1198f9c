"""The jobs table as the door uses it: a job is entered before it is published, and marked after."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from api.aws_errors import AWS_ERRORS, error_code
from api.errors import IdempotencyConflictError
from api.idempotency import IdempotencyKey
from contract.task import Task
from jobs.attributes import Item, read_values
from jobs.record import JobRecord, JobState
from jobs.requests import JobsTable
from jobs.schema import TTL_ATTRIBUTE

_REFUSED = "ConditionalCheckFailedException"
_CANCELLED = "TransactionCanceledException"
_TRIES = 4
_PAUSE_S = 0.05
"""Between two tries, while another request has the same key in a transaction."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierJob:
    """The job that a key already stands for.

    Attributes:
        job: Its id.
        unpublished_since_s: When it was accepted, if nobody knows yet whether it was published; else None.
    """

    job: str
    unpublished_since_s: float | None


class Jobs:
    """The jobs table. Where not said otherwise, calls raise one of AWS_ERRORS when DynamoDB does not answer.

    Args:
        dynamodb: A botocore DynamoDB client.
        table: The table.
    """

    def __init__(self, *, dynamodb: Any, table: JobsTable) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def accept(self, task: Task, now_s: float, start_by_s: float) -> None:
        """Enter a job that is about to be published, with its start deadline."""
        try:
            self._dynamodb.put_item(**self._table.accept(task, now_s, start_by_s=start_by_s))
        except ClientError as exc:
            # Job ids are random: the one that is there is ours, from a try whose answer was lost.
            if error_code(exc) != _REFUSED:
                raise

    def accept_once(self, task: Task, now_s: float, start_by_s: float, key: IdempotencyKey) -> EarlierJob | None:
        """Enter a job under a caller's key, with its start deadline.

        Returns:
            None if it was entered; else the job that the key already stands for.

        Raises:
            IdempotencyConflictError: The key stands for another request.
        """
        request = self._table.accept_once(
            task, now_s, start_by_s=start_by_s, key=key.value, body_sha256=key.body_sha256
        )
        for last in (*[False] * (_TRIES - 1), True):
            try:
                self._dynamodb.transact_write_items(**request)
            except ClientError as exc:
                if error_code(exc) != _CANCELLED:
                    raise
                earlier = self.find(task.metadata.tenant, key, now_s)
                if earlier is not None:
                    return earlier
                if last:
                    raise
                time.sleep(_PAUSE_S)
            else:
                break
        return None

    def find(self, tenant: str | None, key: IdempotencyKey, now_s: float) -> EarlierJob | None:
        """The job that a key stands for; None if it stands for nothing, or no longer.

        Raises:
            IdempotencyConflictError: The key stands for another request.
        """
        item = self._get(self._table.idempotency(tenant, key.value))
        values = read_values(item) if item else {}
        if not values or values[TTL_ATTRIBUTE] < now_s:
            return None
        if values["body_sha256"] != key.body_sha256:
            raise IdempotencyConflictError
        item = self._get(self._table.get(values["job"]))
        record = JobRecord.from_item(item) if item else None
        is_open = record is not None and record.state is JobState.ACCEPTED
        return EarlierJob(job=values["job"], unpublished_since_s=record.created_s if record and is_open else None)

    def withdraw(self, job: str) -> None:
        """Take back a job that could not be published. What fails is logged: the keeper ends what stays."""
        try:
            self._dynamodb.delete_item(**self._table.withdraw(job))
        except AWS_ERRORS as exc:
            logger.warning("not withdrawn: job %s, %s", job, error_code(exc) or type(exc).__name__)

    def published(self, job: str, start_by_s: float) -> None:
        """Mark a job as published. What fails is logged: the job is on its way, and the keeper mends its item.

        Args:
            job: The job.
            start_by_s: Its start deadline, seconds since 1970, unless its item says one.
        """
        try:
            self._dynamodb.update_item(**self._table.published(job, start_by_s))
        except AWS_ERRORS as exc:
            # Refused means that an agent was faster.
            if error_code(exc) != _REFUSED:
                logger.warning("not marked as published: job %s, %s", job, error_code(exc) or type(exc).__name__)

    def _get(self, request: dict[str, Any]) -> Item | None:
        item: Item | None = self._dynamodb.get_item(**request).get("Item")
        return item
