"""A stand-in on a free port, and what a test says to it."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from PIL import Image

from runtimes.standin.faults import FaultBoard, Faults
from runtimes.standin.painter import Painter
from runtimes.standin.server import Server
from runtimes.standin.stage import Stage

MODELS = ("tiny_a.safetensors", "tiny_b.safetensors")


PATIENCE_S = 60


async def until(ready: Callable[[], Any]) -> Any:
    """Wait until a function, or what it awaits, gives something that is true, and return that."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = ready()
            found = await found if isinstance(found, Awaitable) else found
            if found:
                return found
            await asyncio.sleep(0.005)


class Talk:
    """A client of one stand-in."""

    def __init__(self, server: Server, stage: Stage, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.stage = stage
        self.session = session

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Return the status and the body, parsed where it is JSON."""
        async with self.session.request(method, self.server.url + path, json=body, **more) as response:
            raw = await response.read()
        try:
            return response.status, json.loads(raw)
        except ValueError:
            return response.status, raw

    async def get(self, path: str) -> Any:
        status, body = await self.ask("GET", path)
        assert status == 200, (status, body)
        return body

    async def post(self, path: str, body: Any = None) -> Any:
        status, answer = await self.ask("POST", path, body)
        assert status == 200, (status, answer)
        return answer

    async def faults(self, **change: Any) -> None:
        await self.post("/_standin/faults", change)

    async def jobs(self) -> list[dict[str, Any]]:
        found = await self.get("/_standin/jobs")
        return list(found["jobs"])


class Webui(Talk):
    """SD WebUI's ways."""

    async def draw(self, **body: Any) -> dict[str, Any]:
        """Ask for a small picture and return the answer with `info` parsed."""
        plain = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 1, "sampler_name": "Euler"}
        kind = "img2img" if "init_images" in body else "txt2img"
        answer = await self.post(f"/sdapi/v1/{kind}", {**plain, **body})
        return {**answer, "info": json.loads(answer["info"])}

    async def refused(self, path: str = "txt2img", **body: Any) -> tuple[int, Any]:
        plain = (
            {} if path.startswith("extra") else {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 1}
        )
        return await self.ask("POST", f"/sdapi/v1/{path}", {**plain, **body})

    async def state(self) -> dict[str, Any]:
        return (await self.get("/sdapi/v1/progress"))["state"]

    async def running(self, step: int = 1, job: str | None = None) -> None:
        """Wait until a job is at the step, one that is shown under that name if one is given."""

        async def is_there() -> bool:
            state = await self.state()
            return state["sampling_step"] >= step and job in (None, state["job"])

        await until(is_there)


class Comfy(Talk):
    """ComfyUI's ways."""

    async def submit(self, prompt: dict[str, Any], **more: Any) -> str:
        answer = await self.post("/prompt", {"prompt": prompt, **more})
        return str(answer["prompt_id"])

    async def entry(self, prompt_id: str) -> dict[str, Any]:
        """Wait for the history's entry."""
        history = await until(lambda: self.get(f"/history/{prompt_id}"))
        return dict(history[prompt_id])

    async def running(self) -> None:
        """Wait until a prompt runs."""
        await until(self.jobs)

    async def run(self, prompt: dict[str, Any], **more: Any) -> dict[str, Any]:
        return await self.entry(await self.submit(prompt, **more))

    async def upload(self, name: str, data: bytes, **fields: str) -> tuple[int, Any]:
        form = aiohttp.FormData(fields)
        form.add_field("image", data, filename=name, content_type="image/png")
        return await self.ask("POST", "/upload/image", data=form)

    async def picture(self, listed: dict[str, str]) -> Image.Image:
        query = "&".join(f"{key}={value}" for key, value in listed.items())
        return Image.open(io.BytesIO(await self.get(f"/view?{query}")))

    async def listen(self, client_id: str) -> "Ear":
        socket = await self.session.ws_connect(f"{self.server.url}/ws?clientId={client_id}")
        ear = Ear(socket)
        await ear.wait_for("status")
        return ear


class Ear:
    """One websocket and what came through it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[Any] = []
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self.socket:
            self.heard.append(json.loads(message.data) if message.type == aiohttp.WSMsgType.TEXT else message.data)

    @property
    def types(self) -> list[str]:
        return [one["type"] if isinstance(one, dict) else "binary" for one in self.heard]

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """Return the first event of the kind."""
        await until(lambda: kind in self.types)
        return self.heard[self.types.index(kind)]

    async def to_the_end(self) -> list[str]:
        """Wait for `executing` without a node and return the types heard after the greeting."""
        await until(lambda: any(isinstance(one, dict) and one["data"].get("node", 0) is None for one in self.heard))
        return self.types[1:]

    async def closed(self) -> None:
        await asyncio.wait_for(self._task, PATIENCE_S)


async def _serve(kind: str, talk: type[Talk], models: tuple[str, ...], painter: Painter) -> AsyncIterator[Any]:
    stage = Stage(models=models, painter=painter, faults=FaultBoard(Faults()))
    server = Server(kind, stage, patience_s=0.1)
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield talk(server, stage, session)
    await server.stop()


@pytest.fixture
def painter() -> Painter:
    """What the servers draw with; a module that wants another one has a fixture of this name."""
    return Painter()


@pytest.fixture
async def webui(painter: Painter) -> AsyncIterator[Webui]:
    """An SD WebUI that has tiny_a (loaded) and tiny_b."""
    async for talk in _serve("sdwebui", Webui, MODELS, painter):
        yield talk


@pytest.fixture
async def empty_webui(painter: Painter) -> AsyncIterator[Webui]:
    """An SD WebUI without any checkpoint."""
    async for talk in _serve("sdwebui", Webui, (), painter):
        yield talk


@pytest.fixture
async def comfy(painter: Painter) -> AsyncIterator[Comfy]:
    """A ComfyUI that has tiny_a and tiny_b."""
    async for talk in _serve("comfyui", Comfy, MODELS, painter):
        yield talk


@pytest.fixture
def png() -> Callable[..., bytes]:
    """Return PNG bytes of one colour."""

    def make(colour: Any = (200, 30, 30), size: tuple[int, int] = (64, 64)) -> bytes:
        held = io.BytesIO()
        Image.new("RGB", size, colour).save(held, "PNG")
        return held.getvalue()

    return make


@pytest.fixture
def b64(png: Callable[..., bytes]) -> Callable[..., str]:
    """Return a base64 PNG of one colour."""
    return lambda *args, **more: base64.b64encode(png(*args, **more)).decode()


@pytest.fixture
def opened() -> Callable[[str], Image.Image]:
    """Open a base64 picture."""
    return lambda text: Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.fixture
def flat() -> Callable[..., dict[str, Any]]:
    """Return a prompt of one empty picture that is saved."""

    def make(colour: int = 5, prefix: str = "flat", **more: Any) -> dict[str, Any]:
        size = {"width": 16, "height": 16, "batch_size": 1, "color": colour, **more}
        return {
            "1": {"class_type": "EmptyImage", "inputs": size},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
        }

    return make


@pytest.fixture
def sampled() -> Callable[..., dict[str, Any]]:
    """Return the usual prompt around a KSampler."""

    def make(seed: int = 1, steps: int = 2, batch: int = 1, model: str = MODELS[0]) -> dict[str, Any]:
        guided = {"cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
        links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
        return {
            "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}},
            "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": batch}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
            "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
            "3": {"class_type": "KSampler", "inputs": {"seed": seed, "steps": steps, **guided, **links}},
            "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
            "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "ks"}},
        }

    return make


@pytest.fixture
def soon() -> Callable[[Awaitable[Any]], "asyncio.Task[Any]"]:
    """Start something without waiting for it."""
    return asyncio.ensure_future
