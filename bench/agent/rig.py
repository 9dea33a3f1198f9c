"""Runs workers with one GPU each and AWS at the distance of a region, and observes them."""

import os
import threading
import time
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.agent.timeline import Span, Timeline
from bench.agent.workload import STEP_S, Workload
from test.kit.audit import check_endings
from test.kit.processes import wait_for
from test.kit.rig import Kit

AGENT, SEQUENTIAL = "queue_agent", "bench.agent.sequential"
"""The modules of the measured workers."""
ROUND_TRIPS_S = {"s3:*": 0.060, "sns:*": 0.025, "sqs:*": 0.012, "dynamodb:*": 0.008}
"""What a call to each service takes within a region, in addition to its time here."""

_PAINTER = {"STANDIN_PAINTER": "bench.agent.gpu:NoisePainter"}
_VISIBILITY_S = 60
_PATIENCE_S = 60.0
_USER, _SYSTEM = 11, 12
"""Positions in /proc/PID/stat, counted after the command's name."""


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """What ran on each GPU, by task, and the Unix times at which tasks entered the queue.

    ``processor_s`` is the first worker's processor time from the start of its first job to the end of its last.
    """

    gpus: Sequence[Timeline]
    arrivals: Mapping[str, float]
    processor_s: float


def run(kit: Kit, worker: str, load: Workload, gpus: int = 1) -> AgentRun:
    """Let workers, each with its own GPU, do all tasks.

    Tasks with due times are published once all workers are idle; others are in the queue before the workers start.

    Raises:
        AssertionError: A task did not finish, finished twice, or has no picture.
    """
    with kit.rig(load.runtime, visibility_s=_VISIBILITY_S) as rig:
        options: dict[str, Any] = {"step_s": STEP_S, "round_trip_s": ROUND_TRIPS_S, "server_environment": _PAINTER}
        pods = [rig.add_pod(**options, agent={"fresh": True}, LOGLEVEL="INFO") for _ in range(gpus)]
        for pod in pods:
            pod.start_server()
        workers = [pod.agent if worker == AGENT else _sequential(rig, pod) for pod in pods]
        arrivals = {} if load.due_s else load.submit(rig)
        for one in workers:
            one.start()
        with _processor_time(workers[0].pid) as samples:
            if load.due_s:
                wait_for(lambda: sum(_is_idle(pod) for pod in pods) >= gpus, "idle workers")
                arrivals = load.submit(rig)
            jobs = _done(rig, pods, load)
        rig.wait_until_all_are_notified()
        if worker == AGENT:
            check_endings(rig)
        task_of = {notice.get("job"): notice["id"] for notice in rig.received}
        timelines = [
            Timeline(Span(job["start"], job["end"], task_of.get(job["id"], f"task-{n}")) for n, job in enumerate(some))
            for some in jobs
            if some
        ]
    times = [at for at, _ in samples]
    first, last = (min(bisect(times, moment), len(times) - 1) for moment in (timelines[0].start, timelines[0].end))
    return AgentRun(gpus=timelines, arrivals=arrivals, processor_s=samples[last][1] - samples[first][1])


def _sequential(rig: Any, pod: Any) -> Any:
    return rig.add_child(
        SEQUENTIAL,
        endpoint=pod.aws.url,
        SQS_QUEUE_URL=pod.aws.url + rig.queue.removeprefix(rig.aws.url),
        RUNTIME_TYPE=rig.type,
        API_BASE_URL=pod.server_url,
    )


@contextmanager
def _processor_time(pid: int) -> Iterator[list[tuple[float, float]]]:
    """Sample a process: Unix time, and its user and system time so far (Linux only)."""
    stat, over = Path(f"/proc/{pid}/stat"), threading.Event()
    samples: list[tuple[float, float]] = []

    def follow() -> None:
        while not over.wait(0.05) and stat.exists():
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            samples.append((time.time(), (int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK")))

    thread = threading.Thread(target=follow, name="processor time", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _is_idle(pod: Any) -> bool:
    return any(call.name == "sqs:ReceiveMessage" for call in pod.aws.under_way)


def _done(rig: Any, pods: Sequence[Any], load: Workload) -> list[list[dict[str, Any]]]:
    """Wait until all tasks are done; return what ran on each GPU."""
    expected = len(load.seconds)

    def all_jobs() -> list[list[dict[str, Any]]] | None:
        jobs = [pod.generations for pod in pods]
        ended = sum(job["end"] is not None for some in jobs for job in some)
        return jobs if ended >= expected and rig.is_empty() else None

    limit_s = sum(load.seconds) * 2 + expected + _PATIENCE_S
    jobs: list[list[dict[str, Any]]] = wait_for(all_jobs, rig.describe, limit_s, every_s=0.2)
    outcomes = [job["outcome"] for some in jobs for job in some]
    assert outcomes == ["success"] * expected, f"the jobs of {expected} tasks ended as {outcomes}"
    return jobs
