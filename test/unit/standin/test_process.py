"""The stand-in as a process: it starts fast, ends as the real server does, dies when told to."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtimes.standin.__main__ import parse
from runtimes.standin.faults import Faults
from test.unit.standin.conftest import flat

ROOT = Path(__file__).parents[3]
Start = Callable[..., Awaitable[tuple[asyncio.subprocess.Process, str]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a process and return it with its address."""
    running = []

    async def run(kind: str, *options: str) -> tuple[asyncio.subprocess.Process, str]:
        command = [sys.executable, "-m", "runtimes.standin", "--type", kind, "--port", "0", *options]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        running.append(process)
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        return process, re.search(r"http://\S+", line)[0]

    yield run
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()


DRAW = {"prompt": "a cat", "steps": 10, "width": 64, "height": 64}


async def post(url: str, body: Any) -> Any:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status, await response.json()


async def drawing(url: str, **body: Any) -> "asyncio.Task[Any]":
    """Ask SD WebUI for a picture, and return once it draws."""
    job = asyncio.create_task(post(f"{url}/sdapi/v1/txt2img", {**DRAW, **body}))
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/_standin/jobs") as response:
                if any(one["outcome"] == "running" for one in (await response.json())["jobs"]):
                    return job


async def test_sdwebui_finishes_its_job_before_it_ends(start):
    process, url = await start("sdwebui", "--step-s", "0.05")
    job = await drawing(url)
    process.send_signal(signal.SIGTERM)
    status, body = await asyncio.wait_for(job, 60)
    assert (status, len(body["images"])) == (200, 1)
    assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.parametrize("fault", [("--hang-jobs", "1"), ("--hold-at-step", "2")])
async def test_a_job_that_hangs_keeps_no_process_alive(start, fault):
    process, url = await start("sdwebui", *fault)
    job = await drawing(url)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    await asyncio.gather(job, return_exceptions=True)


async def test_a_job_of_a_billion_steps_can_be_stopped_and_a_second_signal_waits_for_none(start):
    process, url = await start("sdwebui")
    job = await drawing(url, steps=10**9)
    await post(f"{url}/sdapi/v1/interrupt", None)
    assert (await asyncio.wait_for(job, 60))[0] == 200
    job = await drawing(url, steps=10**9)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(TimeoutError):  # it finishes its job, as the real one does
        await asyncio.wait_for(process.wait(), 0.2)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 60) == 128 + signal.SIGINT
    await asyncio.gather(job, return_exceptions=True)


async def test_comfyui_is_gone_at_once(start):
    process, url = await start("comfyui", "--job-s", "600")
    await post(f"{url}/prompt", {"prompt": flat()})
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws?clientId=me") as socket:
        await socket.receive()
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0, "the job takes ten minutes"


async def test_every_fault_is_an_option_with_help():
    settings = parse(["--type", "comfyui", "--mute-events", "status", "executed", "--previews", "--fail-jobs", "2"])
    assert (settings.mute_events, settings.previews, settings.fail_jobs) == (["status", "executed"], True, 2)
    assert all(hasattr(settings, name) and field.description for name, field in Faults.model_fields.items())
