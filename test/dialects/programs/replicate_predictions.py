"""What users of Replicate's client do, both majors; a line of JSON for each thing.

Arguments: names of the functions below to run.
"""

import io
import json
import os
import queue
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import replicate
from replicate.exceptions import ModelError

IS_OLDER = version("replicate").startswith("1.")
FLUX, SD, COMFY = "black-forest-labs/flux-schnell", "sd-on-eks/sdruntime", "sd-on-eks/comfy"
SMALL = {"width": 64, "height": 64}
LOST = {"image": "data:image/png;base64,AAAA"}


def client_of(key):
    if IS_OLDER:
        return replicate.Client(api_token=key, base_url=f"{os.environ['SD_URL']}/replicate")
    return replicate.Replicate(bearer_token=key, base_url=f"{os.environ['SD_URL']}/replicate/v1", max_retries=1)


client = client_of(os.environ["SD_KEY"])


def say(**values):
    print(json.dumps(values), flush=True)


def failure(call):
    try:
        return {"type": None, "words": repr(call())}
    except Exception as exc:  # noqa: BLE001 (its type is what the test looks at)
        status = getattr(exc, "status", None) or getattr(exc, "status_code", None)
        return {"type": type(exc).__name__, "status": status, "words": str(exc)}


def get(job):
    return client.predictions.get(job) if IS_OLDER else client.predictions.get(prediction_id=job)


def cancel(job):
    return client.predictions.cancel(job) if IS_OLDER else client.predictions.cancel(prediction_id=job)


def create(model, prompt, **inputs):
    name = {"model": model} if IS_OLDER else {"version": model}
    return client.predictions.create(**name, input={"prompt": prompt, **SMALL, **inputs})


def ended(prediction):
    while prediction.status not in ("succeeded", "failed", "canceled"):
        time.sleep(0.2)
        prediction = get(prediction.id)
    return prediction


def picture():
    """A picture of each kind, as the client's first page has it."""
    made = client.run(FLUX, input={"prompt": "a red cube", **SMALL, "num_outputs": 2, "output_format": "png"})
    say(
        types=[type(one).__name__ for one in made],
        heads=[one.read()[:4].hex() for one in made],
        urls=[one.url[:5] for one in made],
    )
    source = io.BytesIO(made[0].read())
    made = client.run(SD, input={"prompt": "a blue cube", **SMALL, "image": source, "prompt_strength": 0.5})
    say(edited=made[0].read()[:4].hex())
    made = client.run(os.environ["SD_REFERENCE"], input={"prompt": "a hare", **SMALL})
    say(version=made[0].read()[:4].hex())


def life():
    """What becomes of predictions."""
    first = create(FLUX, "a fox")
    done = ended(first)
    say(first=first.status, done=done.status, model=done.model, outputs=len(done.output), error=done.error)
    try:
        client.run(FLUX, input={"prompt": "a fox", **LOST})
    except ModelError as exc:
        lost = exc.prediction
        say(lost=lost.status, error=lost.error, output=lost.output, words=str(exc))
        found = [one.id for one in client.predictions.list().results]
        say(listed=[one in found for one in (first.id, lost.id)])


def errors():
    """Errors, and how long each takes."""
    say(unknown=failure(lambda: client.run("o/nothing", input={"prompt": "a"})))
    say(body=failure(lambda: client.run(FLUX, input={"prompt": "", "num_outputs": 0})))
    say(unknown_version=failure(lambda: client.predictions.create(version="f" * 64, input={"prompt": "a"})))
    say(prediction=failure(lambda: get("no-such-id")))
    say(key=failure(lambda: client_of("nobody").run(FLUX, input={"prompt": "a"})))
    say(budget=failure(lambda: client_of(os.environ["SD_SPENT_KEY"]).run(FLUX, input={"prompt": "a"})))


def held():
    """The model server holds each job at its second step."""
    running = create(COMFY, "slow", num_inference_steps=4)
    first = running.status
    while not running.logs:
        time.sleep(0.2)
        running = get(running.id)
    shown = running.progress if IS_OLDER else None
    say(first=first, status=running.status, logs=running.logs, progress=shown and [shown.current, shown.total])
    cancel(running.id)
    last = ended(running)
    say(cancelled=last.status, output=last.output, again=cancel(last.id).status)


def slow():
    """A picture that takes longer than the API waits."""
    say(slow=client.run(COMFY, input={"prompt": "slow", **SMALL})[0].read()[:4].hex())


def streams():
    """The events of predictions; only the older client has them."""
    for name, asked in (("stream", SMALL), ("lost_stream", LOST)):
        told = []

        def read(asked=asked, told=told):
            for event in client.stream(FLUX, input={"prompt": "a fox", **asked}):
                told.append([event.event.value, str(event.data)[:5]])

        say(**{name: failure(read), "events": told})


def webhooks():
    """What a receiver gets, and the client's own check of it; only the older client has one."""
    received = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            received.put((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = f"http://127.0.0.1:{server.server_port}/hook"
    made = client.predictions.create(
        model=FLUX, input={"prompt": "a fox", **SMALL}, webhook=hook, webhook_events_filter=["completed"]
    )
    headers, body = received.get(timeout=60)
    secret = client.webhooks.default.secret()
    client.webhooks.validate(headers=headers, body=body, secret=secret)
    changed = failure(lambda: client.webhooks.validate(headers=headers, body=f"{body} ", secret=secret))
    told = json.loads(body)
    say(hook=told["status"], is_it=told["id"] == made.id, links=[one[:4] for one in told["output"]], changed=changed)


for name in sys.argv[1].split(","):
    globals()[name]()
