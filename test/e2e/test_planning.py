"""What the planner says of a load, beside what the platform does with it."""

import random
import re
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from planning.simulation import Autoscaling, Load, Pods, Provisioning, Setup, simulate
from test.kit.processes import PATIENCE_S

JOB_S = 0.4
LOAD = 0.7
JOBS = 40
BODY = {"runtime": "sdruntime", "type": "text-to-image", "content": {"prompt": "a dog", "width": 64, "height": 64}}


ALREADY_S = 60.0
"""So long before the first job, the simulated pod was ordered: it is there."""
ONE_POD = Setup(
    scaling=Autoscaling(min_pods=1, max_pods=1),
    nodes=Provisioning(launch_s=(0, 0), boot_s=(0, 0)),
    pods=Pods(boot_s=(0, 0)),
)


def test_jobs_wait_as_long_as_the_simulation_of_their_arrivals_says(platform: Any, slow_jobs: None) -> None:
    """What a job takes is measured in the same run, so that a busy machine makes both slower."""
    chance = random.Random(5)
    times, ends = observed(platform, [chance.expovariate(LOAD / JOB_S) for _ in range(JOBS)])
    # A job that finds others takes from the end of the one before it to its own.
    served = {number: ends[number] - ends[number - 1] for number in range(1, JOBS) if times[number] < ends[number - 1]}
    alone_s = statistics.median(ends[number] - times[number] for number in range(JOBS) if number not in served)
    waits = statistics.mean(ends) - statistics.mean(times) - alone_s
    usual_s = statistics.mean(served.values())
    load = Load([ALREADY_S + at for at in times], [served.get(number, usual_s) for number in range(JOBS)])
    assert waits == pytest.approx(simulate(load, ONE_POD).mean_wait_s, rel=0.15)


@pytest.fixture
def slow_jobs(platform: Any) -> Iterator[None]:
    """Jobs of sdruntime take longer, by a known time."""
    (stand_in,) = re.findall(r"stand-in for sdwebui at (\S+)", platform.output)
    faults = f"{stand_in}/_standin/faults"
    httpx.post(faults, json={"job_s": JOB_S}).raise_for_status()
    yield
    httpx.post(faults, json={"job_s": 0.0}).raise_for_status()


def observed(platform: Any, gaps: list[float]) -> tuple[list[float], list[float]]:
    """Post jobs after each of some seconds; when jobs were accepted, and when some ended, in order of time from 0."""
    headers = {"x-api-key": platform.target.api_key}
    with (
        httpx.Client(base_url=platform.target.endpoint, headers=headers, timeout=PATIENCE_S) as http,
        ThreadPoolExecutor() as pool,
    ):

        def submit() -> str:
            return str(http.post("/v1/jobs", json=BODY).raise_for_status().json()["job"])

        posted = []
        for gap_s in gaps:
            time.sleep(gap_s)
            posted.append(pool.submit(submit))
        jobs = [platform.until(lambda one=one: ended(http, one.result())) for one in posted]
    times, ends = (sorted(datetime.fromisoformat(job[name]) for job in jobs) for name in ("created_at", "ended_at"))
    return [(one - times[0]).total_seconds() for one in times], [(one - times[0]).total_seconds() for one in ends]


def ended(http: httpx.Client, job: str) -> dict[str, Any] | None:
    answer: dict[str, Any] = http.get(f"/v1/jobs/{job}", params={"wait": 20}).raise_for_status().json()
    return answer if answer["ended_at"] else None
