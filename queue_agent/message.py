"""Reads a queue message: the SNS envelope, the task in it, and the job it stands for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from contract import strict_json
from contract.faults import faults_of
from contract.job import foreign_job_id
from contract.objects import ResultNames
from contract.task import MAX_CONTEXT_BYTES, SCHEMA, Task
from queue_agent.errors import SchemaTooNew, UnreadableMessage
from queue_agent.ports import QueueMessage

_MAX_TOLD_ID_CHARS = 1024
"""An invalid id is still told to whoever sent it, as far as it fits into a notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A task that this agent holds.

    Attributes:
        task: The task.
        job: Its job id.
        attempt: How often the task has been delivered, this time included.
    """

    task: Task
    job: str
    attempt: int

    @property
    def names(self) -> ResultNames:
        """Where its results go."""
        return ResultNames(prefix=self.task.metadata.prefix, task_id=self.task.metadata.id, job=self.job)


def read_message(message: QueueMessage) -> Assignment:
    """Read a message.

    Raises:
        UnreadableMessage: It holds no valid task.
        SchemaTooNew: It was written for a newer agent.
    """
    job = foreign_job_id(message.sent_ms, message.message_id)
    try:
        outer = strict_json.loads(message.body)
    except ValueError as exc:
        raise UnreadableMessage(f"The message {exc}.", job=job) from exc
    body = outer
    if isinstance(outer, dict) and outer.get("Type") == "Notification" and isinstance(outer.get("Message"), str):
        job = _envelope_job(outer, job)
        try:
            body = strict_json.loads(outer["Message"])
        except ValueError as exc:
            raise UnreadableMessage(f"The SNS message {exc}.", job=job) from exc
    metadata = body.get("metadata") if isinstance(body, dict) else None
    metadata = metadata if isinstance(metadata, dict) else {}
    schema = metadata.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise SchemaTooNew(f"The message has format {schema}; this agent reads up to {SCHEMA}.")
    try:
        task = Task.model_validate(body)
    except ValidationError as exc:
        problems = "; ".join(f"{fault.field} {fault.problem}".strip() for fault in faults_of(exc))
        task_id, context = metadata.get("id"), metadata.get("context")
        raise UnreadableMessage(
            f"The message is no task: {problems}",
            job=job,
            task_id=task_id[:_MAX_TOLD_ID_CHARS] if isinstance(task_id, str) else None,
            context=context if strict_json.utf8_size(context) <= MAX_CONTEXT_BYTES else None,
        ) from exc
    return Assignment(task=task, job=task.metadata.job or job, attempt=message.receive_count)


def _envelope_job(envelope: dict[str, Any], fallback: str) -> str:
    try:
        timestamp = datetime.fromisoformat(str(envelope["Timestamp"]))
        return foreign_job_id(int(timestamp.timestamp() * 1000), str(envelope["MessageId"]))
    except (KeyError, ValueError):
        return fallback
