"""Reads a queue message as the assignment it is for this agent."""

from dataclasses import dataclass

from contract.envelope import NewerSchemaError, UnreadableDeliveryError, read_delivery
from contract.objects import ResultNames
from contract.task import Task
from queue_agent.errors import SchemaTooNew, UnreadableMessage
from queue_agent.ports import QueueMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A task that was handed to this agent.

    Attributes:
        task: The task.
        job: Its job id.
        traceparent: The trace it was submitted in.
        generation: How often the job was begun anew after it had failed; what a former generation stored is void.
    """

    task: Task
    job: str
    traceparent: str | None
    generation: int = 0

    @property
    def tenant(self) -> str | None:
        """Whose task it is; None of one that no API key submitted."""
        return self.task.metadata.tenant

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
    try:
        delivery = read_delivery(message.body, message_id=message.message_id, sent_ms=message.sent_ms)
    except NewerSchemaError as exc:
        raise SchemaTooNew(str(exc)) from exc
    except UnreadableDeliveryError as exc:
        raise UnreadableMessage(str(exc), job=exc.job, task_id=exc.task_id, context=exc.context) from exc
    return Assignment(task=delivery.task, job=delivery.job, traceparent=delivery.traceparent)
