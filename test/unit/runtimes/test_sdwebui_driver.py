"""The driver against a server that hangs up."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from driverkit import base64_picture

from queue_agent.errors import Rejected, ServerError
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.ports import RunSignals
from runtimes._http import ModelServerClient
from runtimes.sdwebui.driver.executor import SdWebUI


@pytest.fixture
async def server():
    """Hangs up on every job, before its answer or in it; notes what it is asked."""
    asked = []

    async def draw(request):
        asked.append("draw")
        if "answer" in (await request.json())["prompt"]:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"images": [')
        request.transport.abort()
        return web.Response()

    async def interrupt(_request):
        asked.append("interrupt")
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/sdapi/v1/txt2img", draw)
    app.router.add_post("/sdapi/v1/interrupt", interrupt)
    async with TestServer(app) as running:
        yield str(running.make_url("/sdapi/v1/")), asked


@pytest.mark.parametrize(("hangs_up_in", "asked"), [("the drawing", ["draw", "interrupt"]), ("the answer", ["draw"])])
async def test_a_job_whose_line_breaks_before_its_answer_is_interrupted_and_no_other_one(
    server, make_task, hangs_up_in, asked
):
    url, noted = server
    driver = SdWebUI(ModelServerClient(url, "/"), dynamic_model=False)
    prepared = await _prepared(driver, make_task({"prompt": hangs_up_in}))
    with pytest.raises(ServerError):
        await driver.run(prepared, "job", 1, RunSignals(lambda batch=None: None, lambda: None))
    assert noted == asked
    await driver.aclose()


async def _prepared(driver, task):
    async def nothing(body):
        pass

    driver._upscalers.correct = nothing
    return await driver.prepare(task, InputFetcher(web=None, store=None, bucket="b", input_buckets=frozenset()))


class Checkpoints:
    """A server with two checkpoints, of which the first is loaded; draws a picture for every call."""

    def __init__(self):
        self.loaded = "base.safetensors [00000000ab]"
        self.calls = []

    def app(self):
        app = web.Application()
        app.router.add_get("/sdapi/v1/options", self._options)
        app.router.add_post("/sdapi/v1/options", self._set)
        app.router.add_get("/sdapi/v1/sd-models", self._models)
        app.router.add_post("/sdapi/v1/refresh-checkpoints", self._models)
        app.router.add_post("/sdapi/v1/txt2img", self._draw)
        return app

    async def _options(self, _request):
        return web.json_response({"sd_model_checkpoint": self.loaded, "eta_noise_seed_delta": 0})

    async def _set(self, request):
        change = await request.json()
        self.loaded = change.get("sd_model_checkpoint", self.loaded)
        return web.json_response(None)

    async def _models(self, _request):
        models = [("base", "00000000ab"), ("other", "00000000cd")]
        return web.json_response(
            [
                {"title": f"{name}.safetensors [{digits}]", "model_name": name, "hash": digits, "filename": f"/{name}"}
                for name, digits in models
            ]
        )

    async def _draw(self, request):
        self.calls.append(await request.json())
        return web.json_response({"images": [base64_picture(8)], "parameters": {}, "info": "{}"})


async def _draw(make_task, content, *, dynamic):
    server = Checkpoints()
    async with TestServer(server.app()) as running:
        driver = SdWebUI(ModelServerClient(str(running.make_url("/sdapi/v1/")), "/"), dynamic_model=dynamic)
        try:
            prepared = await _prepared(driver, make_task(content))
            await driver.run(prepared, "job", 1, RunSignals(lambda batch=None: None, lambda: None))
        finally:
            await driver.aclose()
    return server


def places(name):
    """A checkpoint in some places where one may be named; test_checkpoints.py has them all."""
    return [
        {"override_settings": {"sd_model_checkpoint": name}},
        {"refiner_checkpoint": name, "refiner_switch_at": 0.8},
        {"infotext": f"a\nSteps: 2, Seed: 1, Model: {name}"},
    ]


@pytest.mark.parametrize(
    "content", [*places("other.safetensors"), {"infotext": "a\nSteps: 2, Seed: 1, Model hash: cd"}]
)
async def test_a_static_runtime_refuses_another_checkpoint_wherever_it_is_named(make_task, content):
    with pytest.raises(Rejected, match=r"serves the checkpoint base\.safetensors \[00000000ab\], not"):
        await _draw(make_task, content, dynamic=False)


@pytest.mark.parametrize("content", [*places("BASE"), {"infotext": "a\nSteps: 2, Seed: 1, Model hash: 00000000ab"}])
async def test_a_static_runtime_takes_its_own_checkpoint_wherever_it_is_named(make_task, content):
    assert len((await _draw(make_task, content, dynamic=False)).calls) == 1


@pytest.mark.parametrize("content", places("nosuch"))
async def test_a_dynamic_runtime_looks_up_a_checkpoint_wherever_it_is_named(make_task, content):
    with pytest.raises(Rejected, match="no checkpoint nosuch; there are: base"):
        await _draw(make_task, content, dynamic=True)


async def test_a_dynamic_runtime_loads_what_the_task_is_to_be_drawn_with_and_nothing_else(make_task):
    assert (await _draw(make_task, {"refiner_checkpoint": "other"}, dynamic=True)).loaded.startswith("base")
    for content in ({"sd_model_checkpoint": "other"}, {"infotext": "a\nSteps: 2, Seed: 1, Model hash: 00000000cd"}):
        server = await _draw(make_task, content, dynamic=True)
        assert server.loaded.startswith("other")
        assert "sd_model_checkpoint" not in server.calls[0]
