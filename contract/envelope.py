"""Reads a message from a queue: the SNS envelope, the task in it, and its job."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from contract import strict_json
from contract.field_errors import field_errors_of
from contract.ids import foreign_job_id
from contract.task import MAX_CONTEXT_BYTES, SCHEMA, Task

TRACEPARENT_ATTRIBUTE = "traceparent"
"""SNS message attribute with the W3C trace context that the task was submitted in."""

_MAX_ID_CHARS = 1024
"""The notice has even an invalid id, cut to this length."""


class UnreadableMessageError(ValueError):
    """The message is not a task. The error has the message's job, and the task's id and context if they can be read."""

    def __init__(self, message: str, *, job: str, task_id: str | None = None, context: object = None) -> None:
        super().__init__(message)
        self.job = job
        self.task_id = task_id
        self.context = context


class NewerSchemaError(ValueError):
    """The message has a format that only newer code can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMessage:
    """A message that carries a task."""

    task: Task
    job: str
    """Derived from the message if the task has none."""
    traceparent: str | None
    """The trace in which it was submitted, as the producer wrote it."""


def read_message(body: str, *, message_id: str, sent_ms: int) -> TaskMessage:
    """Read a message's body, with or without SNS's envelope. Without it, the job follows from SQS's own id and time.

    Raises:
        UnreadableMessageError: It contains no valid task.
        NewerSchemaError: It was written for newer code.
    """
    job = foreign_job_id(sent_ms, message_id)
    try:
        outer = strict_json.loads(body)
    except ValueError as exc:
        raise UnreadableMessageError(f"The message {exc}.", job=job) from exc
    inner, traceparent = outer, None
    if isinstance(outer, dict) and outer.get("Type") == "Notification" and isinstance(outer.get("Message"), str):
        job, traceparent = _envelope_job(outer, job), _attribute(outer, TRACEPARENT_ATTRIBUTE)
        try:
            inner = strict_json.loads(outer["Message"])
        except ValueError as exc:
            raise UnreadableMessageError(f"The SNS message {exc}.", job=job) from exc
    metadata = inner.get("metadata") if isinstance(inner, dict) else None
    metadata = metadata if isinstance(metadata, dict) else {}
    schema = metadata.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise NewerSchemaError(f"The message has format {schema}; this code reads up to {SCHEMA}.")
    try:
        task = Task.model_validate(inner)
    except ValidationError as exc:
        problems = "; ".join(f"{error.pointer} {error.detail}".strip() for error in field_errors_of(exc, Task, inner))
        task_id, context = metadata.get("id"), metadata.get("context")
        raise UnreadableMessageError(
            f"The message is no task: {problems}",
            job=job,
            task_id=task_id[:_MAX_ID_CHARS] if isinstance(task_id, str) else None,
            context=context if strict_json.utf8_size(context) <= MAX_CONTEXT_BYTES else None,
        ) from exc
    return TaskMessage(task=task, job=task.metadata.job or job, traceparent=traceparent)


def _envelope_job(envelope: dict[str, Any], fallback: str) -> str:
    try:
        timestamp = datetime.fromisoformat(str(envelope["Timestamp"]))
        return foreign_job_id(int(timestamp.timestamp() * 1000), str(envelope["MessageId"]))
    except (KeyError, ValueError):
        return fallback


def _attribute(envelope: dict[str, Any], name: str) -> str | None:
    attributes = envelope.get("MessageAttributes")
    attribute = attributes.get(name) if isinstance(attributes, dict) else None
    value = attribute.get("Value") if isinstance(attribute, dict) else None
    return value if isinstance(value, str) else None
