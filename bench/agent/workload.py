"""The tasks that the agent is measured with."""

import heapq
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from test.kit.tasks import INPUT_PNG, TASKTYPES, content_of

STEP_S = 0.05
"""What one sampling step takes on the GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Tasks that are put into the queue together.

    Attributes:
        name: What is measured with them.
        runtime: The type of their runtime.
        seconds: How long each task takes the GPU, to a sampling step.
        with_input: Whether each takes a picture of its own from S3 (sdwebui only).
    """

    name: str
    runtime: str
    seconds: Sequence[float]
    with_input: bool = False

    def submit(self, rig: Any, due_s: Sequence[float] = ()) -> dict[str, float]:
        """Publish all tasks, each when it is due or at once; returns the Unix time at which each lay in the queue."""
        bodies = {f"task-{index}": self._body(rig, index) for index in range(len(self.seconds))}
        begin, arrivals = time.monotonic(), {}
        for index, (task_id, body) in enumerate(bodies.items()):
            time.sleep(max(0.0, begin + due_s[index] - time.monotonic()) if due_s else 0)
            rig.submitted[task_id] = 1
            rig.publish(body)
            arrivals[task_id] = time.time()
        return arrivals

    def _body(self, rig: Any, index: int) -> str:
        content = content_of(self.runtime, seed=index, steps=round(self.seconds[index] / STEP_S))
        tasktype = TASKTYPES[self.runtime]
        if self.with_input:
            tasktype, link = "image-to-image", rig.upload(f"in/{index}.png", INPUT_PNG)
            content = {**content, "init_images": [link]}
        metadata = {"id": f"task-{index}", "runtime": rig.name, "tasktype": tasktype}
        return json.dumps({"metadata": metadata, "content": content})


def short_and_long(count: int, *, short_s: float, long_s: float, long_share: float, seed: int) -> list[float]:
    """Durations of short and long tasks; exactly ``long_share`` of them are long, in random order."""
    long = round(count * long_share)
    seconds = [long_s] * long + [short_s] * (count - long)
    Random(seed).shuffle(seconds)
    return seconds


def poisson_arrivals_s(count: int, *, rate: float, seed: int) -> list[float]:
    """Moments of arrival in seconds from the start, ``rate`` a second on average."""
    chance, now = Random(seed), 0.0
    return [now := now + chance.expovariate(rate) for _ in range(count)]


def ideal_waits_s(arrivals_s: Sequence[float], durations_s: Sequence[float], servers: int) -> list[float]:
    """How long each task waits in an ideal central queue: first come, first served, by the server that is free first.

    Args:
        arrivals_s: When each task comes, in ascending order.
        durations_s: How long each one runs.
        servers: How many there are; all are free at first.
    """
    free_at = [float("-inf")] * servers
    waits = []
    for arrival, duration in zip(arrivals_s, durations_s, strict=True):
        start = max(arrival, heapq.heappop(free_at))
        heapq.heappush(free_at, start + duration)
        waits.append(start - arrival)
    return waits
