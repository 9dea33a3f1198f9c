"""The tasks that lie in a deployment's queues."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contract.queues import DEAD, RETURNED

_SUFFIXES = (RETURNED.suffix, DEAD.suffix)
_RUNTIME_QUEUE = re.compile(r"[a-z0-9-]+")
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeQueues:
    """The queues of a runtime.

    Attributes:
        runtime: Its name.
        messages: How many messages each queue holds, by the queue's name; about.
    """

    runtime: str
    messages: dict[str, int]

    @property
    def total(self) -> int:
        """Messages in all its queues."""
        return sum(self.messages.values())

    def __str__(self) -> str:
        held = ", ".join(f"{count} in {queue}" for queue, count in self.messages.items() if count)
        return f"{self.runtime}: {held or 'nothing'}"


def deployed_queues(sqs: Any, stack: str, known: Iterable[str] = ()) -> list[RuntimeQueues]:
    """The runtimes that a deployment has, by its queues, which are named after stack and runtime.

    Args:
        sqs: A boto3 client.
        stack: Name of the CloudFormation stack.
        known: Runtimes that are known to be one, whatever their names end in.
    """
    urls = {
        url.rpartition("/")[2].removeprefix(f"{stack}-"): url
        for page in sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{stack}-")
        for url in page.get("QueueUrls", [])
    }
    names = {name for name in urls if _RUNTIME_QUEUE.fullmatch(name)}
    side_queues = {f"{name}{suffix}" for name in names for suffix in _SUFFIXES} - set(known)
    return [
        RuntimeQueues(
            runtime=name,
            messages={
                f"{stack}-{queue}": _held(sqs, urls[queue])
                for queue in (name, *(f"{name}{suffix}" for suffix in _SUFFIXES))
                if queue in urls
            },
        )
        for name in sorted(names - side_queues)
    ]


def _held(sqs: Any, url: str) -> int:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
    return sum(int(attributes[name]) for name in _COUNTS)
