"""The tasks in the queues of a deployment's runtimes."""

import re
from collections.abc import Iterable
from typing import Any

from contract.queues import DEAD, RETURNED, Priority
from deploy.aws import items

_SUFFIXES = ("", *(one.suffix for one in Priority if one.suffix), RETURNED.suffix, DEAD.suffix)
_RUNTIME_QUEUE = re.compile(r"[a-z0-9-]+")
_COUNTS = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]


def backlogs(sqs: Any, stack: str, known: Iterable[str] = ()) -> dict[str, dict[str, int]]:
    """Count the messages in each runtime's queues; empty queues are left out.

    Runtimes are found by their queues, which are named after stack and runtime. Those in ``known`` are not taken for
    the further queues of others, whatever their names end in.
    """
    urls = {
        url.rpartition("/")[2].removeprefix(f"{stack}-"): url
        for url in items(sqs, "list_queues", "QueueUrls", QueueNamePrefix=f"{stack}-")
    }
    names = {name for name in urls if _RUNTIME_QUEUE.fullmatch(name)}
    # A runtime may be named like another one's queue of a priority; it has a dead queue of its own.
    runtimes = {name for name in names if f"{name}{DEAD.suffix}" in names} | set(known)
    side_queues = {f"{name}{suffix}" for name in names for suffix in _SUFFIXES if suffix} - runtimes

    def count(url: str) -> int:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS)["Attributes"]
        return sum(int(attributes[name]) for name in _COUNTS)

    return {
        runtime: {
            f"{stack}-{queue}": messages
            for queue in (f"{runtime}{suffix}" for suffix in _SUFFIXES)
            if queue in urls and (queue == runtime or queue in side_queues) and (messages := count(urls[queue]))
        }
        for runtime in sorted(names - side_queues)
    }


def held_tasks(found: dict[str, dict[str, int]]) -> list[str]:
    """One sentence for each runtime whose queues are not empty."""
    return [
        f"{runtime}: {', '.join(f'{count} in {queue}' for queue, count in queues.items())}"
        for runtime, queues in found.items()
        if queues
    ]
