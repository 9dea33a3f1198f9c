"""What users of RunPod's client do: run jobs, wait, stream, cancel, purge, and read errors; a line of JSON for each."""

import asyncio
import base64
import json
import os
import sys
import time
from pathlib import Path

import runpod
from runpod.endpoint import runner

runpod.endpoint_url_base = f"{os.environ['SD_URL']}/runpod/v2"
runpod.api_key = os.environ["SD_KEY"]


def say(**values):
    print(json.dumps(values), flush=True)


def failure(call):
    try:
        call()
    except (RuntimeError, OSError) as exc:
        response = getattr(exc, "response", None)
        words = str(exc) if response is None else response.json()["error"]
        return {"type": type(exc).__name__, "status": getattr(response, "status_code", None), "words": words}


def pictures():
    flux = runpod.Endpoint("fluxdev")
    say(flux=flux.run_sync({"prompt": "a hare", "width": 64, "height": 64}))
    job = runpod.Endpoint("sdxl-endpoint").run(
        {"input": {"prompt": "a fox", "width": 64, "height": 64, "cfg_scale": 3}}
    )
    drawn = job.output(timeout=120)
    say(sdwebui=drawn, status=job.status())
    change = {"prompt": "a red fox", "image": drawn["images"][0], "strength": 0.5}
    say(edited=runpod.Endpoint("sdxl-endpoint").run_sync(change)["images"])


def workflow():
    picture = base64.b64encode(Path(sys.argv[2]).read_bytes()).decode()
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "in.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "out"}},
    }
    comfy = runpod.Endpoint("comfy")
    say(output=comfy.run_sync({"workflow": graph, "images": [{"name": "in.png", "image": picture}]}))
    failed = comfy.run({"workflow": graph, "images": [{"name": "in.png", "image": "AAAA" * 20}]})
    say(failed=failed.output(timeout=120), status=failed.status(), stream=list(failed.stream()))


def errors():
    flux = runpod.Endpoint("fluxdev")
    say(unknown=failure(lambda: runpod.Endpoint("fluxdef").run({"prompt": "a"})))
    say(body=failure(lambda: flux.run({"prompt": "", "steps": 0})))
    say(policy=failure(lambda: flux.run({"input": {"prompt": "a"}, "policy": {"executionTimeout": 10**9}})))
    say(storage=failure(lambda: flux.run({"input": {"prompt": "a"}, "s3Config": {"bucketName": "b"}})))
    say(job=failure(lambda: runner.Job("fluxdev", "no-such-job", flux.rp_client).status()))
    say(key=failure(lambda: runpod.Endpoint("fluxdev", api_key="nobody").run({"prompt": "a"})))
    say(budget=failure(lambda: runpod.Endpoint("fluxdev", api_key=os.environ["SD_SPENT_KEY"]).run({"prompt": "a"})))


def held():
    """The model server holds each job at its second step."""
    comfy = runpod.Endpoint("comfy")
    running = comfy.run(
        {"input": {"prompt": "a slow fox", "steps": 4}, "policy": {"executionTimeout": 60000, "ttl": 90000}}
    )
    while running.status() != "IN_PROGRESS":
        time.sleep(0.2)
    waiting = [comfy.run({"prompt": "next"}) for _ in range(6)]  # the server takes some of them
    say(job=running.job_id, health=comfy.health(), purged=comfy.purge_queue())
    say(waiting=[job.status() for job in waiting], running=running.status())
    for job in waiting:
        job.cancel()
    chunks = running.stream()
    say(chunk=next(chunks), cancelled=running.cancel(), rest=len(list(chunks)))
    say(output=running.output(timeout=120), status=running._fetch_job()["status"])


async def asynchronous():
    async with runpod.http_client.AsyncClientSession() as session:
        job = await runpod.AsyncioEndpoint("fluxdev", session).run({"prompt": "a hare", "width": 64, "height": 64})
        say(
            asyncio=await job.output(timeout=120), status=await job.status(), chunks=[one async for one in job.stream()]
        )


for name in sys.argv[1].split(","):
    work = globals()[name]()
    if work is not None:
        asyncio.run(work)
