"""The tasks for measuring the agent."""

import heapq
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from test.kit.tasks import INPUT_PNG, TASKTYPES, content_of

STEP_S = 0.05
"""Duration of a sampling step on the GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Tasks for one queue.

    Attributes:
        runtime: The type of their runtime.
        seconds: GPU time of each task, rounded to a sampling step.
        due_s: When to publish each task, in seconds from the start; by default, all at once.
        with_input: Whether each task reads its own picture from S3 (sdwebui only).
    """

    runtime: str
    seconds: Sequence[float]
    due_s: Sequence[float] = ()
    with_input: bool = False

    def submit(self, rig: Any) -> dict[str, float]:
        """Publish each task when it is due; return the Unix times at which they entered the queue, by task."""
        bodies = [self._body(rig, index) for index in range(len(self.seconds))]
        begin, arrivals = time.monotonic(), {}
        for index, body in enumerate(bodies):
            if self.due_s:
                time.sleep(max(0.0, begin + self.due_s[index] - time.monotonic()))
            rig.submitted[f"task-{index}"] = 1
            rig.publish(body)
            arrivals[f"task-{index}"] = time.time()
        return arrivals

    def _body(self, rig: Any, index: int) -> str:
        content = content_of(self.runtime, seed=index, steps=round(self.seconds[index] / STEP_S))
        tasktype = TASKTYPES[self.runtime]
        if self.with_input:
            tasktype = "image-to-image"
            content = {**content, "init_images": [rig.upload(f"in/{index}.png", INPUT_PNG)]}
        metadata = {"id": f"task-{index}", "runtime": rig.name, "tasktype": tasktype}
        return json.dumps({"metadata": metadata, "content": content})


def poisson_arrivals_s(count: int, *, rate: float, seed: int) -> list[float]:
    """Arrival times in seconds from the start, ``rate`` per second on average."""
    chance, now = Random(seed), 0.0
    return [now := now + chance.expovariate(rate) for _ in range(count)]


def ideal_waits_s(arrivals_s: Sequence[float], durations_s: Sequence[float], servers: int) -> list[float]:
    """How long each task waits in an ideal central queue: first come, first served, by the first free server.

    ``arrivals_s`` ascend; all servers are free at the start.
    """
    free_at = [float("-inf")] * servers
    waits = []
    for arrival, duration in zip(arrivals_s, durations_s, strict=True):
        start = max(arrival, heapq.heappop(free_at))
        heapq.heappush(free_at, start + duration)
        waits.append(start - arrival)
    return waits
