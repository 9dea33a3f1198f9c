"""The driver against servers that hang up, that have checkpoints, and whose state makes no sense."""

import base64
import io

import pytest
from aiohttp import web
from driverkit import client_of, signals, task_of
from PIL import Image

from queue_agent.errors import Rejected, ServerError
from runtimes.sdwebui.driver.executor import SdWebUI


async def run(client, content, *, dynamic=False):
    driver = SdWebUI(client, dynamic_model=dynamic)
    await driver.run(await driver.prepare(task_of(content), None), "job", 1, signals([]))


@pytest.mark.parametrize(("hangs_up_in", "asked"), [("drawing", ["draw", "interrupt"]), ("answer", ["draw"])])
async def test_a_job_whose_line_breaks_before_its_answer_is_interrupted_and_no_other_one(hangs_up_in, asked):
    noted = []

    async def draw(request):
        noted.append("draw")
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        if hangs_up_in == "answer":
            await response.prepare(request)
            await response.write(b'{"images": [')
        request.transport.abort()
        return response

    async def interrupt(_request):
        noted.append("interrupt")
        return web.json_response({})

    async with client_of(web.post("/txt2img", draw), web.post("/interrupt", interrupt)) as client:
        with pytest.raises(ServerError):
            await run(client, {})
    assert noted == asked


MODELS = [
    {"title": f"{name}.safetensors [{digits}]", "model_name": name, "hash": digits, "filename": f"/{name}"}
    for name, digits in (("base", "00000000ab"), ("other", "00000000cd"))
]


class Checkpoints:
    """A server with two checkpoints, of which the first is loaded; draws a picture for every call."""

    def __init__(self):
        self.loaded = MODELS[0]["title"]
        self.calls = []

    async def serve(self, request):
        sent = await request.json() if request.method == "POST" else {}
        match request.path:
            case "/options":
                self.loaded = sent.get("sd_model_checkpoint", self.loaded)
                return web.json_response({"sd_model_checkpoint": self.loaded, "eta_noise_seed_delta": 0})
            case "/txt2img":
                self.calls.append(sent)
                picture = io.BytesIO()
                Image.new("1", (8, 8)).save(picture, "PNG")
                images = [base64.b64encode(picture.getvalue()).decode()]
                return web.json_response({"images": images, "parameters": {}, "info": "{}"})
        return web.json_response(MODELS)


async def drawn(content, *, dynamic):
    """A server with checkpoints after a task."""
    server = Checkpoints()
    async with client_of(web.route("*", "/{path:.*}", server.serve)) as client:
        await run(client, content, dynamic=dynamic)
    return server


@pytest.mark.parametrize(
    ("dynamic", "asked", "words"),
    [
        (False, "other", "serves the checkpoint base"),
        (True, "nosuch", "no checkpoint nosuch; there are: base"),
        (False, "BASE", None),
        (True, "other", None),
    ],
)
@pytest.mark.parametrize("place", ["sd_model_checkpoint", "refiner_checkpoint", "infotext"])
async def test_a_checkpoint_that_the_runtime_has_not_is_refused_wherever_it_is_named(dynamic, asked, words, place):
    content = {place: f"a\nSteps: 2, Seed: 1, Model: {asked}" if place == "infotext" else asked}
    if words:
        with pytest.raises(Rejected, match=words):
            await drawn(content, dynamic=dynamic)
    else:
        server = await drawn(content, dynamic=dynamic)
        draws = dynamic and place != "refiner_checkpoint"
        assert server.loaded.startswith("other" if draws else "base")
        assert [call.get("sd_model_checkpoint") for call in server.calls] == [None]


async def test_a_hash_names_a_checkpoint_too():
    content = {"infotext": "a\nSteps: 2, Seed: 1, Model hash: 00000000cd"}
    assert (await drawn(content, dynamic=True)).loaded.startswith("other")
    with pytest.raises(Rejected, match="serves the checkpoint base"):
        await drawn(content, dynamic=False)
