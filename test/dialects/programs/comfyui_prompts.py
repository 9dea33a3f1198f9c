"""What users of ComfyUI's own API do: scripts after its example, without a key, and comfy-api-simplified."""

import contextlib
import json
import os
import pathlib
import tempfile
import urllib.parse
import urllib.request
import uuid

import requests
from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper
from comfy_api_simplified.exceptions import ComfyApiError
from PIL import Image
from websockets.sync.client import connect

URL, KEY = os.environ["SD_URL"], os.environ["SD_KEY"]
HOST = URL.removeprefix("http://")
SOCKETS = contextlib.ExitStack()


def say(**what):
    print(json.dumps(what), flush=True)


def set_faults(**faults):
    requests.post(os.environ["SD_FAULTS"], json=faults).raise_for_status()


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}


def drawing(saver="SaveImage", **given):
    """A workflow that draws a picture like no other."""
    seed = uuid.uuid4().int % 2**32
    sampling = {"seed": seed, "steps": 4, "cfg": 7, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned-emaonly.safetensors"),
        "2": node("CLIPTextEncode", text="a fox", clip=["1", 1]),
        "4": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "5": node("KSampler", model=["1", 0], positive=["2", 0], negative=["2", 0], latent_image=["4", 0], **sampling),
        "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "9": node(saver, images=["6", 0], **({"filename_prefix": "fox"} if saver == "SaveImage" else {})),
        **given,
    }


class Script:
    """ComfyUI's example script, which also notes the events."""

    def __init__(self):
        self.client_id = str(uuid.uuid4())
        self.events, self.pictures = [], []
        url = f"ws://{HOST}/ws?clientId={self.client_id}"
        self.socket = SOCKETS.enter_context(connect(url, max_size=None))

    def post(self, path, data):
        request = urllib.request.Request(f"{URL}{path}", data=json.dumps(data).encode())
        return json.loads(urllib.request.urlopen(request).read())

    def get(self, path):
        return urllib.request.urlopen(f"{URL}{path}").read()

    def begin(self, prompt, **more):
        return self.post("/prompt", {"prompt": prompt, "client_id": self.client_id, **more})["prompt_id"]

    def wait(self, prompt_id, is_over=lambda kind, data: kind == "executing" and data["node"] is None):
        while True:
            out = self.socket.recv()
            if not isinstance(out, str):
                self.pictures.append(out[8:12].hex())
                self.events.append("picture")
                if is_over("picture", {}):
                    return None
                continue
            message = json.loads(out)
            kind, data = message["type"], message["data"]
            self.events.append(f"status {data['status']['exec_info']['queue_remaining']}" if kind == "status" else kind)
            if data.get("prompt_id") == prompt_id and is_over(kind, data):
                return data

    def run(self, prompt, **more):
        prompt_id = self.begin(prompt, **more)
        self.wait(prompt_id)
        self.last = json.loads(self.socket.recv())["data"]["status"]["exec_info"]["queue_remaining"]
        return prompt_id

    def entry(self, prompt_id):
        return json.loads(self.get(f"/history/{prompt_id}"))[prompt_id]

    def images(self, prompt_id):
        outputs = self.entry(prompt_id)["outputs"]
        named = [image for output in outputs.values() for image in output.get("images", [])]
        return [self.get("/view?" + urllib.parse.urlencode(image))[:4].hex() for image in named]


script, chosen = Script(), str(uuid.uuid4())
prompt_id = script.run(drawing(), prompt_id=chosen)
say(is_chosen=prompt_id == chosen, events=script.events, last=script.last, images=script.images(chosen))
first = script.entry(chosen)["outputs"]
script.run(drawing(), prompt_id=chosen)
say(is_another=script.entry(chosen)["outputs"] != first, nodes=list(script.entry(chosen)["prompt"][2]))
say(listed=chosen in json.loads(script.get("/history?max_items=3")))

streamed = Script()
streamed.run(drawing("SaveImageWebsocket"))
say(streamed=streamed.pictures)

api = ComfyApiWrapper(URL, user="me", password=KEY)
workflow = ComfyWorkflowWrapper(drawing())
say(simplified=[picture[:4].hex() for picture in api.queue_and_wait_images(workflow, "SaveImage").values()])
say(stats=list(api.get_system_stats()), empty=api.get_queue(), knows_sampler="KSampler" in api.get_object_info())
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder, "in put.png")
    Image.new("RGB", (64, 64), "red").save(file)
    uploaded = api.upload_image(str(file))
named = f"{uploaded['subfolder']}/{uploaded['name']}"
saver = node("SaveImage", images=["3", 0], filename_prefix="in")
loading = ComfyWorkflowWrapper({"3": node("LoadImage", image=named), "9": saver})
say(uploaded=uploaded, loaded=len(api.queue_and_wait_images(loading, "SaveImage")))
plain = {"3": node("LoadImage", image=f"{uploaded['subfolder']}/in put.png"), "9": saver}
say(by_own_name=len(script.images(script.run(plain))))
view = {"filename": uploaded["name"], "subfolder": uploaded["subfolder"], "type": "input"}
say(viewed=script.get("/view?" + urllib.parse.urlencode(view))[:4].hex())

set_faults(fail_jobs=1)
failed = Script()
prompt_id = failed.run(drawing())
entry = failed.entry(prompt_id)
say(failed=failed.events, failed_last=failed.last, failed_status=entry["status"])
set_faults(fail_jobs=1)
try:
    api.queue_and_wait_images(workflow, "SaveImage")
except ComfyApiError as exc:
    say(simplified_failed=str(exc))
faulty = drawing(**{"1": node("CheckpointLoaderSimple", ckpt_name="x")})
refused = requests.post(f"{URL}/prompt", json={"prompt": faulty})
say(refused=refused.status_code, node_errors=refused.json()["node_errors"])
try:
    ComfyApiWrapper(URL, user="me", password="wrong").queue_prompt(drawing())
except ComfyApiError as exc:
    say(wrong_key=str(exc))

set_faults(hold_at_step=3, previews=True)
held, waiting = Script(), Script()
prompt_id = held.begin(drawing(), extra_data={"preview_method": "auto"})
held.wait(prompt_id, lambda kind, _: kind == "picture")
queued = waiting.begin(drawing())
lists = json.loads(held.get("/queue"))
listed = {one[1] for prompts in lists.values() for one in prompts}
say(previewed=held.pictures, queue=listed == {prompt_id, queued})
waiting.post("/queue", {"delete": [queued]})
waiting.wait(queued)
say(deleted=waiting.events)
held.post("/interrupt", {})
held.wait(prompt_id)
say(interrupted=held.events, messages=[one[0] for one in held.entry(prompt_id)["status"]["messages"]])
SOCKETS.close()
