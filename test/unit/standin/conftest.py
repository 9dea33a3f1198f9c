"""Stand-ins on free ports, and clients that speak to them."""

import asyncio
import base64
import io
import json
from collections.abc import Awaitable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from PIL import Image

from runtimes.standin.control import Control
from runtimes.standin.faults import Faults
from runtimes.standin.painter import Painter
from runtimes.standin.server import Server
from test.kit.processes import PATIENCE_S
from test.kit.tasks import MODELS, empty_image, save_image


async def until(ready):
    """Wait until a function, or what it awaits, gives something that is true, and return that."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = ready()
            found = await found if isinstance(found, Awaitable) else found
            if found:
                return found
            await asyncio.sleep(0.005)


class Client:
    """Speaks to one stand-in."""

    def __init__(self, server, session):
        self.url = server.url
        self.session = session

    async def ask(self, method, path, body=None, **more):
        """Return the status and the body, parsed where it is JSON."""
        async with self.session.request(method, self.url + path, json=body, **more) as response:
            raw = await response.read()
        try:
            return response.status, json.loads(raw)
        except ValueError:
            return response.status, raw

    async def get(self, path):
        return await self._good("GET", path)

    async def post(self, path, body=None):
        return await self._good("POST", path, body)

    async def _good(self, *request):
        status, answer = await self.ask(*request)
        assert status == 200, (status, answer)
        return answer

    async def faults(self, **change):
        await self.post("/_standin/faults", change)

    async def outcomes(self):
        return [job["outcome"] for job in (await self.get("/_standin/jobs"))["jobs"]]


class Webui(Client):
    """SD WebUI's ways."""

    async def send(self, path="txt2img", **body):
        plain = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 1, "sampler_name": "Euler"}
        return await self.ask("POST", f"/sdapi/v1/{path}", {**plain, **body})

    async def draw(self, **body):
        """Ask for a small picture and return the answer with `info` parsed and its pictures opened."""
        status, answer = await self.send("img2img" if "init_images" in body else "txt2img", **body)
        assert status == 200, answer
        pictures = [Image.open(io.BytesIO(base64.b64decode(text))) for text in answer["images"]]
        return {**answer, "info": json.loads(answer["info"]), "pictures": pictures}

    async def state(self):
        return (await self.get("/sdapi/v1/progress"))["state"]

    async def running(self):
        """Wait until a job has done a step."""

        async def has_begun():
            return (await self.state())["sampling_step"] > 0

        await until(has_begun)


class Comfy(Client):
    """ComfyUI's ways."""

    async def submit(self, prompt, **more):
        return str((await self.post("/prompt", {"prompt": prompt, **more}))["prompt_id"])

    async def entry(self, prompt_id):
        """Wait for the history's entry."""
        return dict((await until(lambda: self.get(f"/history/{prompt_id}")))[prompt_id])

    async def run(self, prompt, **more):
        return await self.entry(await self.submit(prompt, **more))

    async def upload(self, name, data, **fields):
        form = aiohttp.FormData(fields)
        form.add_field("image", data, filename=name, content_type="image/png")
        return await self.ask("POST", "/upload/image", data=form)

    async def picture(self, entry, node):
        listed = entry["outputs"][node]["images"][0]
        query = "&".join(f"{key}={value}" for key, value in listed.items())
        async with self.session.get(f"{self.url}/view?{query}") as response:
            return Image.open(io.BytesIO(await response.read()))

    async def listen(self, client_id):
        ear = Ear(await self.session.ws_connect(f"{self.url}/ws?clientId={client_id}"))
        await ear.wait_for("status")
        return ear


class Ear:
    """One websocket and what came through it."""

    def __init__(self, socket):
        self.socket = socket
        self.heard = []
        self._task = asyncio.create_task(self._listen())

    async def _listen(self):
        async for message in self.socket:
            self.heard.append(json.loads(message.data) if message.type == aiohttp.WSMsgType.TEXT else message.data)

    @property
    def types(self):
        return [one["type"] if isinstance(one, dict) else "binary" for one in self.heard]

    def all(self, kind):
        return [one["data"] for one in self.heard if isinstance(one, dict) and one["type"] == kind]

    async def wait_for(self, kind):
        """Return the first event of the kind."""
        return (await until(lambda: self.all(kind)))[0]

    async def to_the_end(self):
        """Wait for `executing` without a node and return the types heard after the greeting."""
        await until(lambda: any(one["node"] is None for one in self.all("executing")))
        return self.types[1:]


@asynccontextmanager
async def _serving(kind, client, painter, **faults):
    server = Server(kind, Control(MODELS, painter, Faults(**faults)), patience_s=0.1)
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield client(server, session)
    await server.stop()


@pytest.fixture
def painter():
    return Painter()


@pytest.fixture
async def webui(painter):
    """An SD WebUI that has a (loaded) and b."""
    async with _serving("sdwebui", Webui, painter) as client:
        yield client


@pytest.fixture
async def early_webui(painter):
    """An SD WebUI that was started before a and b were there."""
    async with _serving("sdwebui", Webui, painter, late_models=True) as client:
        yield client


@pytest.fixture
async def comfy(painter):
    """A ComfyUI that has a and b."""
    async with _serving("comfyui", Comfy, painter) as client:
        yield client


def png(colour=(200, 30, 30)):
    """A picture of one colour."""
    held = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(held, "PNG")
    return held.getvalue()


def flat(prefix="x", **inputs):
    """A prompt of one empty picture that is saved."""
    return {"1": empty_image(**inputs), "2": save_image(prefix=prefix)}
