"""Measures how many jobs a minute one machine completes: in memory, and with a folder that keeps them.

The model server is a stand-in that draws at once, so what is measured is all but the drawing. Processor time says how
many there can be on a machine with nothing else to do: AWS's part is one process with one core.
"""

import os
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from bench.figures import Figure, print_all
from test.kit.processes import wait_for
from test.kit.up import LocalUp

PER_MINUTE_LIMIT = 60.0
_CALLERS = 8
_RUNTIMES = 2
_PATIENCE_S = 900.0
_TICKS = os.sysconf("SC_CLK_TCK")
_CONFIG = """\
stackName: bench
modelBucketArn: arn:aws:s3:::models
APIGW: {stageName: prod, throttle: {rateLimit: 10000, burstLimit: 10000}}
modelsRuntime:
"""
_RUNTIME = "  - {name: runtime-%d, type: sdwebui, dynamicModel: true}\n"
_CONTENT = {"prompt": "A lighthouse at dusk, watercolour", "steps": 1, "width": 64, "height": 64}


def report(*, short: bool) -> list[Figure]:
    """Measure both; print and return the figures."""
    jobs = 10 if short else 600
    print(f"one box: {jobs} jobs of {_RUNTIMES} runtimes from {_CALLERS} callers, pictures of 64 x 64")
    figures = []
    for keeps in (True,) if short else (False, True):
        with tempfile.TemporaryDirectory() as folder, _platform(Path(folder), keeps=keeps) as up:
            figures += _jobs(up, jobs, "with a folder" if keeps else "in memory", PER_MINUTE_LIMIT if keeps else None)
    return print_all(figures)


@contextmanager
def _platform(folder: Path, *, keeps: bool) -> Iterator[LocalUp]:
    config = folder / "config.yaml"
    config.write_text(_CONFIG + "".join(_RUNTIME % number for number in range(_RUNTIMES)))
    up = LocalUp(folder / "state", f"--config={config}", "--shell=asgi", keeps=keeps)
    try:
        up.wait_ready()
        yield up
    finally:
        up.end(signal.SIGTERM)


def _jobs(up: LocalUp, count: int, where: str, limit: float | None) -> list[Figure]:
    url, headers = f"{up.stack['FrontApiEndpoint']}v1/jobs", {"x-api-key": up.stack["ApiKey"]}
    http = httpx.Client(trust_env=False, timeout=60, headers=headers)
    pids = up.part_pids()
    aws = [pids["local.aws_server"]]

    def submit(number: int) -> tuple[str, float]:
        began_s = time.monotonic()
        body = {"runtime": f"runtime-{number % _RUNTIMES}", "type": "text-to-image", "content": _CONTENT}
        answer = http.post(url, json=body).raise_for_status().json()
        return answer["job"], (time.monotonic() - began_s) * 1000

    submit(0)  # the first job finds everything cold
    began_s, of_aws_s, of_all_s = time.time(), _cpu_s(aws), _cpu_s(pids.values())
    with ThreadPoolExecutor(_CALLERS) as callers:
        submitted = list(callers.map(submit, range(count)))
    ended = {job: wait_for(lambda: _end(http, url, job), job, _PATIENCE_S, every_s=0.5) for job, _ in submitted}  # noqa: B023
    took_s = max(ended.values()) - began_s
    return [
        Figure(f"{where}: jobs a minute", [60 * count / took_s], "", limit, at_least=True),
        Figure(f"{where}: a submission", [ms for _, ms in submitted], "ms"),
        Figure(f"{where}: processor time of AWS's part a job", [1000 * (_cpu_s(aws) - of_aws_s) / count], "ms"),
        Figure(f"{where}: the same of all parts", [1000 * (_cpu_s(pids.values()) - of_all_s) / count], "ms"),
    ]


def _end(http: httpx.Client, url: str, job: str) -> float | None:
    """When a job ended, seconds since 1970; None if it has not."""
    found: dict[str, Any] = http.get(f"{url}/{job}").raise_for_status().json()
    assert found["state"] not in {"failed", "cancelled"}, found
    return datetime.fromisoformat(found["ended_at"]).timestamp() if found["state"] == "succeeded" else None


def _cpu_s(pids: Iterable[int]) -> float:
    """Seconds of processor time that processes have used."""
    rows = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(row[11]) + int(row[12]) for row in rows) / _TICKS
