"""The stand-in as a process: it ends as the real server does, and takes every fault on its command line."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from runtimes.standin.__main__ import parse
from test.kit.processes import PATIENCE_S
from test.unit.standin.conftest import flat

DRAW = {"prompt": "a cat", "steps": 10, "width": 64, "height": 64}


@pytest.fixture
def start():
    """Start a process and return it with its address."""
    processes = []

    def run(kind, *options):
        command = [sys.executable, "-m", "runtimes.standin", "--type", kind, "--port", "0", *options]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1], processes[-1].stdout.readline().split()[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait(PATIENCE_S)


@pytest.fixture
def draw():
    """Ask SD WebUI for a picture, and return once it draws."""
    with ThreadPoolExecutor() as pool:

        def begin(url, **body):
            job = pool.submit(httpx.post, f"{url}/sdapi/v1/txt2img", json={**DRAW, **body}, timeout=PATIENCE_S)
            while not any(one["outcome"] == "running" for one in httpx.get(f"{url}/_standin/jobs").json()["jobs"]):
                time.sleep(0.01)
            return job

        yield begin


def test_sdwebui_finishes_its_job_before_it_ends_and_is_not_kept_alive_by_one_that_hangs(start, draw):
    process, url = start("sdwebui", "--step-s", "0.05")
    job = draw(url)
    process.send_signal(signal.SIGTERM)
    assert (job.result().status_code, process.wait(PATIENCE_S)) == (200, 0)
    process, url = start("sdwebui", "--hang-jobs", "1")
    draw(url)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def test_a_job_of_a_billion_steps_can_be_stopped_and_a_second_signal_waits_for_none(start, draw):
    process, url = start("sdwebui")
    job = draw(url, steps=10**9)
    httpx.post(f"{url}/sdapi/v1/interrupt")
    assert job.result().status_code == 200
    draw(url, steps=10**9)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):  # it finishes its job, as the real one does
        process.wait(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 128 + signal.SIGINT


def test_comfyui_is_gone_at_once(start):
    process, url = start("comfyui", "--job-s", "600")
    httpx.post(f"{url}/prompt", json={"prompt": flat()}).raise_for_status()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0, "the job takes ten minutes"


def test_every_fault_is_an_option():
    settings = parse(["--type", "comfyui", "--mute-events", "status", "executed", "--previews", "--fail-jobs", "2"])
    assert (settings.mute_events, settings.previews, settings.fail_jobs) == (["status", "executed"], True, 2)
