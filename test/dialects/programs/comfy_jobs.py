"""What users of Comfy's client do: submit workflows, follow and cancel them, send files, and read errors."""

import asyncio
import json
import os
import sys
import time

from comfy_sdk import AsyncComfy, Comfy
from comfy_sdk.events import Preview
from comfy_sdk.exceptions import ComfyError

BASE_URL = os.environ["COMFY_BASE_URL"] = f"{os.environ['SD_URL']}/comfy"
os.environ["COMFY_API_KEY"] = os.environ["SD_KEY"]


def say(**values):
    print(json.dumps(values), flush=True)


def failure(call):
    began = time.monotonic()
    try:
        call()
    except ComfyError as exc:
        words = {"type": type(exc).__name__, "code": exc.code, "status": exc.http_status, "words": str(exc)}
        return {**words, "fast": time.monotonic() - began < 30}


def on(runtime):
    """A client of the one runtime."""
    os.environ["COMFY_BASE_URL"] = f"{BASE_URL}/{runtime}"
    try:
        return Comfy()
    finally:
        os.environ["COMFY_BASE_URL"] = BASE_URL


def workflow(comfy, nodes):
    return comfy.workflows.from_json(nodes)


FIRST = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 255}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "first"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "second"}},
}
SAMPLING = {
    "model": ["1", 0],
    "positive": ["2", 0],
    "negative": ["2", 0],
    "latent_image": ["4", 0],
    "seed": 1,
    "steps": 4,
    "cfg": 7.0,
    "denoise": 1.0,
    "sampler_name": "euler",
    "scheduler": "normal",
}
SAMPLED = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5-pruned-emaonly.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "5": {
        "class_type": "KSampler",
        "inputs": SAMPLING,
    },
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "sampled"}},
}


def loaded(picture):
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "loaded"}},
    }


def results():
    comfy = Comfy()
    job = comfy.submit(workflow(comfy, FIRST), metadata={"client": "acme", "run": sys.argv[2]})
    job.result()
    (first,), (second,) = job.get_outputs("7"), job.get_outputs("9")
    link = second.get_download_url().url
    said = {"names": [first.name, second.name], "head": first.to_bytes()[:4].hex(), "link": link}
    say(**said, part=second.to_bytes(range=(1, 3)).decode(), size=first.size_bytes == len(first.to_bytes()))
    again = comfy.jobs.get(job.id)
    say(graph=again.get_workflow().graph == FIRST, labels=again.metadata, cancelled=again.cancel().status)
    say(listed=[one.id for one in comfy.list_jobs(metadata={"run": sys.argv[2]})] == [job.id])
    output = comfy.assets.get(first.id)
    asset = comfy.assets.from_bytes(first.to_bytes(), filename="in.png")
    made = []
    for picture in (asset, output):
        graph = workflow(comfy, loaded(""))
        graph.set_input("1", "image", picture)
        made.append(comfy.run(graph).outputs[0].to_bytes()[:4].hex())
    found = comfy.assets.get(asset.id)
    say(made=made, file=[found.file_path, found.hash], url=found.get_download_url().url)
    found.delete()
    say(deleted=failure(lambda: comfy.assets.get(asset.id)))


def follow():
    comfy = Comfy()
    seen = [
        {"event": type(event).__name__, **{key: value for key, value in vars(event).items() if isinstance(value, str)}}
        for event in comfy.submit(workflow(comfy, SAMPLED)).events()
    ]
    say(seen=seen)


async def asynchronous():
    async with AsyncComfy() as comfy:
        job = await comfy.submit(workflow(comfy, FIRST))
        states = [event.status async for event in job.events() if hasattr(event, "status")]
        say(asynchronous=(await job.result()).status, states=states[-1])


def errors():
    comfy = Comfy()
    wrong = {**FIRST, "7": {"class_type": "SaveImage", "inputs": "none"}}
    say(workflow=failure(lambda: comfy.submit(workflow(comfy, wrong))))
    broken = loaded("data:image/png;base64,AAAA")
    say(failed=failure(lambda: comfy.run(workflow(comfy, broken))))
    lost = loaded({"__type": "core/ASSET", "info": {"id": "01a22d89-502f-7936-b32c-40b57c480015.1"}})
    say(asset=failure(lambda: comfy.submit(workflow(comfy, lost))))
    say(job=failure(lambda: comfy.jobs.get("nothing")))
    say(key=failure(lambda: Comfy(api_key="nobody").submit(workflow(comfy, FIRST))))
    say(budget=failure(lambda: Comfy(api_key=os.environ["SD_SPENT_KEY"]).submit(workflow(comfy, FIRST))))
    say(runtime=failure(lambda: on("fluxdev").submit(workflow(comfy, FIRST))))


def held():
    """The model server holds each job before its third step."""
    comfy = on("comfy")
    running = comfy.submit(workflow(comfy, SAMPLED))
    while running.refresh().status != "running":
        time.sleep(0.2)
    seen = []
    for event in running.events():
        seen.append(type(event).__name__)
        if isinstance(event, Preview):
            say(seen=seen, preview=event.data[:4].hex(), type=event.content_type)
            break
    waiting = [comfy.submit(workflow(comfy, SAMPLED)) for _ in range(6)]  # the server takes some of them
    last = waiting[-1].refresh()
    say(position=last._model.queue_position, waiting=last.cancel().status, running=running.cancel().status)
    for job in waiting:
        job.cancel()
    say(held=failure(running.result), status=running.status)


for name in sys.argv[1].split(","):
    work = globals()[name]()
    if work is not None:
        asyncio.run(work)
