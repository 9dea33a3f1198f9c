"""The driver against a server that hangs up."""

import pytest
from agentkit import base64_picture
from aiohttp import web
from aiohttp.test_utils import TestServer

from queue_agent.errors import InputFault, ModelServerFault
from queue_agent.ports import RunSignals
from queue_agent.runtimes.client import ModelServerClient
from queue_agent.runtimes.sdwebui.driver import SdWebUI


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
    with pytest.raises(ModelServerFault):
        await driver.run(prepared, "job", 1, RunSignals(lambda batch=None: None, lambda: None))
    assert noted == asked
    await driver.aclose()


async def test_a_picture_in_the_task_itself_that_is_too_large_to_be_unpacked_never_reaches_the_server(
    server, make_task
):
    url, noted = server
    driver = SdWebUI(ModelServerClient(url, "/"), dynamic_model=False)
    with pytest.raises(InputFault, match=r"^init_images\[0\]: "):
        await _prepared(driver, make_task({"prompt": "a", "init_images": [base64_picture(9000)]}))
    assert noted == []
    await driver.aclose()


async def _prepared(driver, task):
    async def nothing(body):
        pass

    driver._upscalers.correct = nothing
    return await driver.prepare(task, None)
