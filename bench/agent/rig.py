"""A worker with its GPU, AWS at a region's distance, and what was seen of them."""

import os
import threading
import time
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.agent.timeline import Span, Timeline
from bench.agent.workload import STEP_S, Workload
from test.kit.audit import check_endings
from test.kit.processes import wait_for
from test.kit.rig import Kit

AGENT, SEQUENTIAL = "queue_agent", "bench.agent.sequential"
"""The workers that are measured, by their modules."""
ROUND_TRIPS_S = {"s3:*": 0.060, "sns:*": 0.025, "sqs:*": 0.012, "dynamodb:*": 0.008}
"""What a call of each service takes within a region, on top of what it takes here."""

_PAINTER = {"STANDIN_PAINTER": "bench.agent.gpu:NoisePainter"}
_VISIBILITY_S = 60
_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.2
_USER, _SYSTEM = 11, 12
"""Places in /proc/PID/stat behind the command's name."""


class ProcessorTime:
    """Samples the processor time of one process by the kernel's clock (Linux only) while the context is open."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._times: list[float] = []
        self._spent_s: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="processor time", daemon=True)

    def __enter__(self) -> Self:
        """Begin to sample."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._over.set()
        self._thread.join()

    def between_s(self, start: float, end: float) -> float:
        """Seconds of processor time between two Unix times, to a sample, user and system together."""
        first, last = (min(bisect(self._times, moment), len(self._times) - 1) for moment in (start, end))
        return self._spent_s[last] - self._spent_s[first]

    def _follow(self) -> None:
        while not self._over.wait(0.05) and self._stat.exists():
            fields = self._stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            self._times.append(time.time())
            self._spent_s.append((int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK"))


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """What was seen of some workers and their GPUs.

    Attributes:
        jobs: What ran on each GPU, named by task.
        arrivals: When each task came into the queue, as Unix time.
        processor_s: Processor time of the first worker, from its first job's start to its last one's end.
    """

    jobs: Sequence[Sequence[Span]]
    arrivals: Mapping[str, float]
    processor_s: float

    @property
    def timeline(self) -> Timeline:
        """The first GPU's."""
        return Timeline(self.jobs[0])


def run(kit: Kit, worker: str, load: Workload, due_s: Sequence[float] = (), gpus: int = 1) -> AgentRun:
    """Have workers do all tasks, each with a GPU of its own.

    Args:
        kit: AWS, and a folder for logs.
        worker: The module that is measured.
        load: The tasks.
        due_s: When each task is submitted, once all workers are idle; by default all are in the queue before.
        gpus: How many workers there are.

    Raises:
        AssertionError: Not every task was done, once and with its picture.
    """
    with kit.rig(load.runtime, visibility_s=_VISIBILITY_S) as rig:
        options: dict[str, Any] = {"step_s": STEP_S, "round_trip_s": ROUND_TRIPS_S, "server_environment": _PAINTER}
        pods = [rig.add_pod(**options, agent={"fresh": True}, LOGLEVEL="INFO") for _ in range(gpus)]
        for pod in pods:
            pod.start_server()
        workers = [pod.agent if worker == AGENT else _sequential(rig, pod) for pod in pods]
        arrivals = {} if due_s else load.submit(rig)
        for one in workers:
            one.start()
        with ProcessorTime(workers[0].pid) as processor:
            if due_s:
                wait_for(lambda: _idle(pods) >= gpus, "idle workers")
                arrivals = load.submit(rig, due_s)
            jobs = _done(rig, pods, load)
        rig.wait_until_all_are_notified()
        if worker == AGENT:
            check_endings(rig)
        task_of = {notice.get("job"): notice["id"] for notice in rig.received}
        spans = [
            [Span(job["start"], job["end"], task_of.get(job["id"], f"task-{n}")) for n, job in enumerate(some)]
            for some in jobs
        ]
    first = Timeline(spans[0])
    return AgentRun(jobs=spans, arrivals=arrivals, processor_s=processor.between_s(first.start, first.end))


def _sequential(rig: Any, pod: Any) -> Any:
    return rig.add_child(
        SEQUENTIAL,
        endpoint=pod.aws.url,
        SQS_QUEUE_URL=pod.aws.url + rig.queue.removeprefix(rig.aws.url),
        RUNTIME_TYPE=rig.type,
        API_BASE_URL=pod.server_url,
    )


def _idle(pods: Sequence[Any]) -> int:
    """How many workers wait for messages."""
    return sum(call.name == "sqs:ReceiveMessage" for pod in pods for call in pod.aws.under_way)


def _done(rig: Any, pods: Sequence[Any], load: Workload) -> list[list[dict[str, Any]]]:
    """Wait until all tasks are done, and return what ran on each GPU."""
    expected = len(load.seconds)

    def all_jobs() -> list[list[dict[str, Any]]] | None:
        jobs = [pod.generations for pod in pods]
        ended = sum(job["end"] is not None for some in jobs for job in some)
        return jobs if ended >= expected and rig.is_empty() else None

    limit_s = sum(load.seconds) * 2 + expected + _PATIENCE_S
    jobs: list[list[dict[str, Any]]] = wait_for(all_jobs, rig.describe, limit_s, every_s=_LOOK_EVERY_S)
    outcomes = [job["outcome"] for some in jobs for job in some]
    assert outcomes == ["success"] * expected, f"{expected} tasks gave jobs that ended so: {outcomes}"
    return jobs
