"""The agent's event loop stands still for no task: heartbeats, probes and the next job wait for nobody."""

import asyncio
import base64
import contextlib
import gc
import json
import time
from unittest.mock import AsyncMock

import pytest
from agentkit import JOB, FakeStore, picture

from contract.task import Metadata, Task
from queue_agent.content import with_content
from queue_agent.errors import InvalidTask
from queue_agent.job_context import JobContext
from queue_agent.memory import MemoryBudget
from queue_agent.results import Results
from runtimes._http import ModelServerClient
from runtimes.comfyui.driver.executor import ComfyUI
from runtimes.flux.driver.executor import Flux
from runtimes.sdwebui.driver.executor import SdWebUI

MIB = 2**20
LONGEST_S = 0.05
CALIBRATION_S = 0.02
"""What a million additions take on a machine of usual speed."""


@contextlib.asynccontextmanager
async def no_long_pause():
    """Check the longest pause of the loop, in seconds of its own thread's work: other threads do not count."""
    pauses_s = []

    async def watch():
        last_s = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now_s = time.thread_time()
            pauses_s.append(now_s - last_s)
            last_s = now_s

    gc.collect()
    gc.freeze()  # as the agent does: the collector need not look through what was there before
    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    yield
    await asyncio.sleep(0.01)
    watching.cancel()
    gc.unfreeze()
    start_s = time.thread_time()
    sum(number for number in range(1_000_000))
    slowness = max(1.0, (time.thread_time() - start_s) / CALIBRATION_S)
    assert max(pauses_s) <= LONGEST_S * slowness


CONTENTS = {
    "a picture": json.dumps({"prompt": "a", "init_images": [base64.b64encode(bytes(11 * MIB)).decode()]}),
    "escapes": json.dumps({"prompt": 'é"\n\\' * MIB}),
    "as many lists as may be": json.dumps({"prompt": "a", "x": [[1]] * 45_000}),
    "too many lists": '{"prompt": "a", "x": [' + "[]," * (5 * MIB) + "0]}",
}
DRIVERS = {
    "sdwebui": (lambda client: SdWebUI(client, dynamic_model=True), "text-to-image"),
    "flux": (Flux, "text-to-image"),
    "comfyui": (ComfyUI, "pipeline"),
}


async def prepare(text, type_name):
    make, tasktype = DRIVERS[type_name]
    if type_name == "comfyui":  # the same content as the inputs of a node
        text = '{"1":{"class_type":"A","inputs":' + text + "}}"
    store = FakeStore()
    store.objects["bucket", f"_tasks/{JOB}.json"] = text.encode()
    task = Task(metadata=Metadata(id="a", runtime="r", tasktype=tasktype), content_url=f"s3://bucket/_tasks/{JOB}.json")
    driver = make(ModelServerClient("http://127.0.0.1:1", "/"))
    with MemoryBudget(2**30).task(AsyncMock(return_value={})) as memory:
        complete = await with_content(task, store, "bucket", memory)
        await driver.prepare(complete, memory)
    await driver.aclose()


@pytest.mark.parametrize("type_name", DRIVERS)
@pytest.mark.parametrize("name", CONTENTS)
async def test_the_largest_contents_are_read_and_prepared_or_refused_beside_the_loop(name, type_name, monkeypatch):
    monkeypatch.setattr(ComfyUI, "_declaration", AsyncMock(return_value={}))
    refused = ""
    async with no_long_pause():
        try:
            await prepare(CONTENTS[name], type_name)
        except InvalidTask as exc:
            refused = str(exc)
    # FLUX takes no other fields than its own.
    assert type_name == "flux" or ("holds more than 100000 values" in refused) is name.startswith("too many")


async def test_large_answers_are_stored_beside_the_loop():
    results = Results(s3=FakeStore(), bucket="bucket", runtime_name="r")
    metadata = Metadata(id="a", runtime="r", tasktype="t", prefix="output")
    rest = dict.fromkeys(("message", "received_s", "traceparent", "deadlines", "slot", "memory", "telemetry"))
    job = JobContext(id=JOB, task=Task(metadata=metadata, content={}), **rest)
    parameters = {"init_images": ["A" * (20 * MIB)] * 4, "graph": [[number] for number in range(40_000)]}
    async with no_long_pause():
        await results.store(job, picture(parameters=parameters, answer={"images": ["A" * MIB] * 4}))
        assert await results.find(job)
