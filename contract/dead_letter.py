"""Messages that nobody can do: how they are kept, and where SQS's redrive leads."""

import json
from collections.abc import Mapping
from typing import Any

CODE_ATTRIBUTE = "code"
REASON_ATTRIBUTE = "reason"
"""Attributes of a message in a dead queue: why it is there, one word for programs and a sentence for people."""

_MAX_REASON_CHARS = 256


def dead_letter(body: str, code: str, reason: str) -> dict[str, Any]:
    """What SQS's SendMessage is asked with, besides the dead queue's URL."""
    # SQS takes no control characters.
    printable = "".join(character if character.isprintable() else " " for character in reason)
    attributes = {CODE_ATTRIBUTE: code, REASON_ATTRIBUTE: printable[:_MAX_REASON_CHARS]}
    return {
        "MessageBody": body,
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }


def redrive_target(attributes: Mapping[str, str]) -> str | None:
    """Name of the queue that takes what another has delivered too often; None where there is none.

    Args:
        attributes: The other queue's, RedrivePolicy among them if it has one.
    """
    policy = attributes.get("RedrivePolicy")
    return None if not policy else str(json.loads(policy)["deadLetterTargetArn"]).rpartition(":")[2]
