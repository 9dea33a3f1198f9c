"""The tasks in the queues of a deployment's runtimes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contract.queues import DEAD, RETURNED
from deploy.aws import items

_SUFFIXES = (RETURNED.suffix, DEAD.suffix)
_RUNTIME_QUEUE = re.compile(r"[a-z0-9-]+")
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeBacklog:
    """About how many messages each queue of a runtime holds, by the queue's name."""

    runtime: str
    messages: dict[str, int]

    @property
    def total(self) -> int:
        """Messages in all its queues."""
        return sum(self.messages.values())

    def __str__(self) -> str:
        held = ", ".join(f"{count} in {queue}" for queue, count in self.messages.items() if count)
        return f"{self.runtime}: {held or 'nothing'}"


def backlogs(sqs: Any, stack: str, known: Iterable[str] = ()) -> list[RuntimeBacklog]:
    """Find a deployment's runtimes by its queues, which are named after stack and runtime, and count their messages.

    Runtimes in ``known`` are not taken for the dead queues of others, whatever their names end in.
    """
    urls = {
        url.rpartition("/")[2].removeprefix(f"{stack}-"): url
        for url in items(sqs, "list_queues", "QueueUrls", QueueNamePrefix=f"{stack}-")
    }
    names = {name for name in urls if _RUNTIME_QUEUE.fullmatch(name)}
    side_queues = {f"{name}{suffix}" for name in names for suffix in _SUFFIXES} - set(known)

    def count(url: str) -> int:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
        return sum(int(attributes[name]) for name in _COUNTS)

    return [
        RuntimeBacklog(
            runtime=name,
            messages={
                f"{stack}-{queue}": count(urls[queue])
                for queue in (name, *(f"{name}{suffix}" for suffix in _SUFFIXES))
                if queue in urls
            },
        )
        for name in sorted(names - side_queues)
    ]
