"""What users of fal's client for Python do; a line of JSON for each thing.

FAL_RUN_HOST and FAL_QUEUE_RUN_HOST are read when it is imported, and always spoken to by TLS.
"""

import base64
import json
import os
import sys
import time
import urllib.request

import fal_client

FLUX, SD, COMFY = "fal-ai/flux/schnell", "sd-on-eks/sdruntime", "sd-on-eks/comfy"
SMALL = {"image_size": {"width": 64, "height": 64}}
LOST = {"image_url": "data:image/png;base64,AAAA"}
QUEUE, RUN = os.environ["FAL_QUEUE_RUN_HOST"], os.environ["FAL_RUN_HOST"]


def say(**values):
    print(json.dumps(values), flush=True)


def failure(call):
    began_s = time.monotonic()
    try:
        return {"type": None, "words": repr(call())}
    except Exception as exc:  # noqa: BLE001 (its type is what the test looks at)
        more = {"status": getattr(exc, "status_code", None), "error_type": getattr(exc, "error_type", None)}
        return {"type": type(exc).__name__, "words": str(exc), "took_s": time.monotonic() - began_s, **more}


def read(image):
    with urllib.request.urlopen(image["url"], timeout=60) as answer:
        return answer.read()


def picture():
    told = []
    made = fal_client.subscribe(
        FLUX,
        arguments={"prompt": "a red cube", **SMALL, "num_images": 2, "seed": 42},
        with_logs=True,
        on_queue_update=lambda status: told.append(type(status).__name__),
        priority="low",
        start_timeout=600,
    )
    data = [read(one) for one in made["images"]]
    say(
        heads=[one[:4].hex() for one in data],
        sides=[made["images"][0][name] for name in ("width", "height")],
        seed=made["seed"],
    )
    say(last=told[-1], words=sorted({*told} - {"Queued", "InProgress", "Completed"}))
    source = f"data:image/png;base64,{base64.b64encode(data[0]).decode()}"
    handle = fal_client.submit(
        f"{SD}/image-to-image", arguments={"prompt": "a blue cube", "image_url": source, "strength": 0.5}
    )
    say(
        edited=read(handle.get()["images"][0])[:4].hex(),
        urls=[handle.status_url.partition("/requests/")[0], handle.request_id in handle.cancel_url],
    )
    say(
        by_id=[*fal_client.result(SD, handle.request_id)],
        status=type(fal_client.status(SD, handle.request_id, with_logs=True)).__name__,
    )
    say(ended=failure(lambda: fal_client.cancel(SD, handle.request_id)))
    one_part = fal_client.submit("fluxdev", arguments={"prompt": "a hare", **SMALL})
    say(one_part=len(one_part.get()["images"]))
    say(run=len(fal_client.run(FLUX, arguments={"prompt": "a fox", "image_size": "square"})["images"]))
    say(stream=[[*event] for event in fal_client.stream(FLUX, arguments={"prompt": "a fox", **SMALL})][-1])


def errors():
    say(failed=failure(lambda: fal_client.subscribe(FLUX, arguments={"prompt": "a fox", **LOST})))
    say(failed_run=failure(lambda: fal_client.run(FLUX, arguments={"prompt": "a fox", **LOST})))
    say(failed_stream=[*fal_client.stream(FLUX, arguments={"prompt": "a fox", **LOST})][-1])
    say(app=failure(lambda: fal_client.subscribe("fal-ai/nothing", arguments={"prompt": "a"})))
    say(body=failure(lambda: fal_client.subscribe(FLUX, arguments={"prompt": "", "num_images": 0, **SMALL})))
    say(size=failure(lambda: fal_client.subscribe(FLUX, arguments={"prompt": "a", "image_size": "huge"})))
    say(request=failure(lambda: fal_client.status(FLUX, "no-such-id")))
    say(key=failure(lambda: fal_client.SyncClient(key="nobody").subscribe(FLUX, arguments={"prompt": "a"})))
    poor = fal_client.SyncClient(key=os.environ["SD_SPENT_KEY"])
    say(budget=failure(lambda: poor.submit(FLUX, arguments={"prompt": "a"})))


def held():
    """The model server takes a minute for each job."""
    steps = {"prompt": "slow", **SMALL, "num_inference_steps": 60}
    say(timeout=failure(lambda: fal_client.subscribe(COMFY, arguments=steps, client_timeout=2)))
    handle = fal_client.submit(COMFY, arguments=steps)
    for event in handle.iter_events(with_logs=True):
        if isinstance(event, fal_client.InProgress) and event.logs:
            say(logs=event.logs[0]["message"])
            break
    handle.cancel()
    say(cancelled=type(handle.status()).__name__, result=failure(handle.get))


for name in sys.argv[1].split(","):
    globals()[name]()
