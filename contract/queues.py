"""A runtime's queues and the courier's, and the messages in dead queues."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_DAY_S = 24 * 3600

CODE_ATTRIBUTE = "code"
REASON_ATTRIBUTE = "reason"
"""Attributes of a message in a dead queue, which say why it is there: a word for programs, a sentence for people."""

_MAX_REASON_CHARS = 256

KEEPER_TIMEOUT_S = 60
"""How long the keeper may take for a batch of returned messages."""
MIN_FUNCTIONS = 2
"""The fewest functions side by side to which Lambda's event source for a queue can be held."""
FUNCTION_TIMEOUT_S = 900
"""How long an agent that is a function of Lambda's may take for a task: the longest that there is."""


class Priority(StrEnum):
    """Which jobs of a runtime go first, the most urgent one first.

    Where config.yaml asks for priorities each has a queue of its own; elsewhere all jobs share the normal one.
    """

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def suffix(self) -> str:
        """Added to the name of the runtime's own queue, which has the jobs of normal priority."""
        return "" if self is Priority.NORMAL else f"-{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """How SQS treats a queue."""

    suffix: str
    """Added to the name of the runtime's own queue."""
    visibility_s: int
    retention_s: int
    """How long a message is kept after it was first sent."""
    max_receives: int | None
    """Deliveries after which a message goes to the next queue; None if there is no next queue."""


TASKS = QueueSettings(suffix="", visibility_s=90, retention_s=4 * _DAY_S, max_receives=100)
"""The runtime's own queue; the jobs table counts attempts, and the limit on deliveries is only a backstop."""
FUNCTION_TASKS = replace(TASKS, visibility_s=FUNCTION_TIMEOUT_S)
"""The same where a function takes the tasks. Lambda demands that a message is hidden for as long as the function may
run; the agent shortens that to the lease of ``TASKS`` when it begins."""
# AWS asks for six times the function's timeout (Lambda's guide, "Using Lambda with Amazon SQS").
RETURNED = QueueSettings(
    suffix="-returned", visibility_s=6 * KEEPER_TIMEOUT_S, retention_s=14 * _DAY_S, max_receives=20
)
"""Messages that were delivered too often; the keeper reads them."""
DEAD = QueueSettings(suffix="-dead", visibility_s=30, retention_s=14 * _DAY_S, max_receives=None)
"""Messages of tasks that failed for good; it has no consumer."""


COURIER_TIMEOUT_S = 30
"""How long the courier may take for a batch of messages: a receiver has half of it."""
COURIER = QueueSettings(suffix="", visibility_s=6 * COURIER_TIMEOUT_S, retention_s=14 * _DAY_S, max_receives=20)
"""The queue of webhooks that wait to be delivered, and of notices; what is never delivered goes to a dead queue."""


def dead_letter(body: str, code: str, reason: str) -> dict[str, Any]:
    """Parameters of SendMessage for the dead queue, without its URL."""
    # SQS rejects control characters.
    printable = "".join(character if character.isprintable() else " " for character in reason)
    attributes = {CODE_ATTRIBUTE: code, REASON_ATTRIBUTE: printable[:_MAX_REASON_CHARS]}
    return {
        "MessageBody": body,
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }


def redrive_target(attributes: Mapping[str, str]) -> str | None:
    """Name of the queue that gets what another queue delivered too often; None if there is none.

    Args:
        attributes: The other queue's, RedrivePolicy among them if it has one.
    """
    policy = attributes.get("RedrivePolicy")
    return None if not policy else str(json.loads(policy)["deadLetterTargetArn"]).rpartition(":")[2]
